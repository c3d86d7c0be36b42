import type { Redis } from 'ioredis';
import { readMemoryFacts, type MemoryFacts } from './redis-facts.js';

/** The memory use of a Redis. */
export interface RedisMemory {
  /**
   * The used share of `maxmemory`, or of the host's memory where no limit is set: 0 to 1, above 1 beyond the limit. Cached
   * for a second, or until 1 % of the memory was added.
   * @param addedBytes what the caller is about to add; counts as used from now on.
   * @throws when Redis does not answer.
   */
  usedShare(addedBytes?: number): Promise<number>;
}

const CACHED_MS = 1_000;
const ADDED_SHARE_TO_REFRESH = 0.01;

/** Reads the memory use of the Redis behind a client. */
export function createRedisMemory(redis: Pick<Redis, 'info'>): RedisMemory {
  let known: Pick<MemoryFacts, 'usedBytes' | 'limitBytes'> = { usedBytes: 0, limitBytes: Infinity };
  let readAt = -Infinity;
  let added = 0;
  let reading: Promise<void> | undefined;

  const read = async (): Promise<void> => {
    known = await readMemoryFacts(redis);
    readAt = performance.now();
    added = 0;
  };

  return {
    async usedShare(addedBytes = 0) {
      const isOld = performance.now() - readAt >= CACHED_MS;
      if (isOld || added + addedBytes > known.limitBytes * ADDED_SHARE_TO_REFRESH) {
        await (reading ??= read().finally(() => (reading = undefined)));
      }
      added += addedBytes;
      return (known.usedBytes + added) / known.limitBytes;
    },
  };
}
