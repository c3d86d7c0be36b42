import { createHmac, randomBytes } from 'node:crypto';

/** Detects a registration that is sent twice: a double click, a retry after a lost response. */
export interface RepeatedRegistrations {
  /** Records the registration. True if this process has seen the same one within the last 30 seconds. */
  isRepeated(emailCanonical: string, nameCanonical: string, password: string): boolean;
}

const WITHIN_MS = 30_000;
const MAX_REMEMBERED = 10_000;

/**
 * Keeps keyed digests in memory only, under a key that is never stored: a fast digest of a password could be brute-forced.
 * @param now milliseconds of a monotonic clock.
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
      // Reinserted at the end of the map, so that the first entry is always the oldest.
      rememberedUntil.delete(digest);
      rememberedUntil.set(digest, now() + WITHIN_MS);
      const [oldest] = rememberedUntil.keys();
      if (rememberedUntil.size > MAX_REMEMBERED && oldest !== undefined)
        rememberedUntil.delete(oldest);
      return isRepeated;
    },
  };
}
