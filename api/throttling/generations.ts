import { createHmac } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { NamedKey } from '../../shared/crypto/keys.js';

/** A number that is part of other limits' keys: raising it forgets what they have counted, whatever else their keys hold. */
export interface Generations {
  /** The same until it is advanced. Never fails. */
  of(key: string): Promise<string>;
  advance(key: string): Promise<void>;
}

/** Longer than any limit counts: when a generation is forgotten, so is everything that was counted under it. */
const KEPT_SECONDS = 2 * 60 * 60;
const MAX_KEPT_HERE = 10_000;

/** Generations in Redis, for all instances; while Redis is gone, each instance knows those that it has advanced itself. */
export function createGenerations(redis: Redis, { key: secret }: NamedKey): Generations {
  const advancedHere = new Map<string, number>();
  const nameOf = (key: string): string =>
    `{throttle}:generation:${createHmac('sha256', secret).update(`generation\0${key}`).digest('base64url')}`;

  return {
    async of(key) {
      const name = nameOf(key);
      // The client's owner logs what is wrong with Redis; the limits fall back to memory at the same time.
      const everywhere = await redis.get(name).catch(() => null);
      return `${everywhere ?? 0}.${advancedHere.get(name) ?? 0}`;
    },
    async advance(key) {
      const name = nameOf(key);
      const results = await redis
        .multi()
        .incr(name)
        .expire(name, KEPT_SECONDS)
        .exec()
        .catch(() => undefined);
      if (results?.every(([error]) => error === null)) return;
      advancedHere.set(name, (advancedHere.get(name) ?? 0) + 1);
      const [oldest] = advancedHere.keys();
      if (advancedHere.size > MAX_KEPT_HERE && oldest !== undefined) advancedHere.delete(oldest);
    },
  };
}
