import { createHmac } from 'node:crypto';
import type { ChainableCommander, Redis } from 'ioredis';
import type { NamedKey } from '../../shared/crypto/keys.js';

/**
 * A generation is a number that rate-limit keys contain: advancing it resets every count under those keys at once, whatever
 * else the keys contain.
 */
export interface Generations {
  /** The current generation of a key. Never fails. */
  of(key: string): Promise<string>;
  advance(key: string): Promise<void>;
}

/** Longer than the longest window: when a generation expires, every count under it has expired. */
const TTL_SECONDS = 2 * 60 * 60;
const MAX_LOCAL = 10_000;

const nameOf = ({ key: secret }: NamedKey, key: string): string =>
  `{throttle}:generation:${createHmac('sha256', secret).update(`generation\0${key}`).digest('base64url')}`;

/** Adds to a transaction of Redis what advances a generation. */
export function advanceIn(transaction: ChainableCommander, secret: NamedKey, key: string): void {
  const name = nameOf(secret, key);
  transaction.incr(name).expire(name, TTL_SECONDS);
}

/** Generations in Redis, shared by all instances; without Redis each instance knows only those that it advanced itself. */
export function createGenerations(redis: Redis, secret: NamedKey): Generations {
  const advancedLocally = new Map<string, number>();

  return {
    async of(key) {
      const name = nameOf(secret, key);
      // The owner of the client logs Redis errors; the rate limiters fall back to memory at the same time.
      const shared = await redis.get(name).catch(() => null);
      return `${shared ?? 0}.${advancedLocally.get(name) ?? 0}`;
    },
    async advance(key) {
      const transaction = redis.multi();
      advanceIn(transaction, secret, key);
      const results = await transaction.exec().catch(() => undefined);
      if (results?.every(([error]) => error === null)) return;
      const name = nameOf(secret, key);
      advancedLocally.set(name, (advancedLocally.get(name) ?? 0) + 1);
      const [oldest] = advancedLocally.keys();
      if (advancedLocally.size > MAX_LOCAL && oldest !== undefined) advancedLocally.delete(oldest);
    },
  };
}
