import { createHmac, randomBytes } from 'node:crypto';

/** What makes two registrations the same: a double click, or a retry after a lost response. */
export interface SameRegistration {
  readonly emailCanonical: string;
  readonly nameCanonical: string;
  readonly password: string;
}

/** Detects a registration that is sent twice. */
export interface RepeatedRegistrations {
  /**
   * Inserts a registration, told whether this process has inserted the same one within the last 30 seconds. A repeated one
   * waits for the insert of the first to end: the worker looks for that one before it mails a link for the repeated one.
   */
  insert(
    registration: SameRegistration,
    insert: (isRepeated: boolean) => Promise<void>,
  ): Promise<void>;
}

interface First {
  readonly rememberedUntil: number;
  /** Resolves when its insert has ended, however. */
  readonly ended: Promise<void>;
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
  const remembered = new Map<string, First>();

  return {
    async insert({ emailCanonical, nameCanonical, password }, insert) {
      const digest = createHmac('sha256', key)
        .update(JSON.stringify([emailCanonical, nameCanonical, password]))
        .digest('base64');
      const known = remembered.get(digest);
      const first = known && known.rememberedUntil > now() ? known : undefined;
      const inserted = first ? first.ended.then(() => insert(true)) : insert(false);
      const ended = first?.ended ?? inserted.catch(() => undefined);
      // Reinserted at the end of the map, so that the first entry is always the oldest.
      remembered.delete(digest);
      remembered.set(digest, { rememberedUntil: now() + WITHIN_MS, ended });
      const [oldest] = remembered.keys();
      if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
      await inserted;
    },
  };
}
