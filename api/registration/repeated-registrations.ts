import { createHmac, randomBytes } from 'node:crypto';

/** Recognises a registration that is sent twice: a button that was pressed twice, an answer that was lost. */
export interface RepeatedRegistrations {
  /** Remembers the registration, and tells whether this process has seen the same within the last half minute. */
  isRepeated(emailCanonical: string, nameCanonical: string, password: string): boolean;
}

const WITHIN_MS = 30_000;
const MAX_REMEMBERED = 10_000;

/**
 * Remembers digests in memory alone, made with a key that dies with the process: what could be guessed from a quick
 * digest of a password must not reach a store.
 * @param now milliseconds of a clock that never goes back.
 */
export function createRepeatedRegistrations(
  now: () => number = () => performance.now(),
): RepeatedRegistrations {
  const key = randomBytes(32);
  const rememberedUntil = new Map<string, number>();

  return {
    isRepeated(...registration) {
      const digest = createHmac('sha256', key)
        .update(JSON.stringify(registration))
        .digest('base64');
      const isRepeated = (rememberedUntil.get(digest) ?? -Infinity) > now();
      // Last in the map, so that the first is always the one to forget.
      rememberedUntil.delete(digest);
      rememberedUntil.set(digest, now() + WITHIN_MS);
      const [oldest] = rememberedUntil.keys();
      if (rememberedUntil.size > MAX_REMEMBERED && oldest !== undefined)
        rememberedUntil.delete(oldest);
      return isRepeated;
    },
  };
}
