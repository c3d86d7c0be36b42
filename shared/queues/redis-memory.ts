import type { Redis } from 'ioredis';
import { readMemoryFacts, type MemoryFacts } from './redis-facts.js';

/** How much of its memory a Redis has in use. */
export interface RedisMemory {
  /**
   * The used part of `maxmemory`, or of the host's memory where no limit is set: 0 to 1, above 1 when it is past its
   * limit. Asks at most once a second, and sooner only when what the caller has added since could make a difference.
   * @param addedBytes what the caller is about to add; counts as used from now on.
   * @throws when Redis does not answer.
   */
  usedShare(addedBytes?: number): Promise<number>;
}

const ASK_EVERY_MS = 1_000;
/** Added since the last look, this part of the memory is a reason to look again. */
const NEWS = 0.01;

/** Watches the memory of the Redis behind a client. */
export function createRedisMemory(redis: Pick<Redis, 'info'>): RedisMemory {
  let known: Pick<MemoryFacts, 'usedBytes' | 'limitBytes'> = { usedBytes: 0, limitBytes: Infinity };
  let askedAt = -Infinity;
  let added = 0;
  let asking: Promise<void> | undefined;

  const ask = async (): Promise<void> => {
    known = await readMemoryFacts(redis);
    askedAt = performance.now();
    added = 0;
  };

  return {
    async usedShare(addedBytes = 0) {
      const isOld = performance.now() - askedAt >= ASK_EVERY_MS;
      if (isOld || added + addedBytes > known.limitBytes * NEWS) {
        await (asking ??= ask().finally(() => (asking = undefined)));
      }
      added += addedBytes;
      return (known.usedBytes + added) / known.limitBytes;
    },
  };
}
