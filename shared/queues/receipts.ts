import type { Redis } from 'ioredis';

/** Proof that log batches have reached the stream, by their jobs' ids. */
export interface Receipts {
  /** Call it when the stream has accepted all of a batch, before its job completes. */
  write(jobId: string): Promise<void>;
  /** Returns those of the ids that have a receipt. */
  find(jobIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Whether any worker has written one within the last so many milliseconds, by its clock and ours. */
  hasWrittenWithin(ms: number): Promise<boolean>;
}

const KEY = '{logs}:shipped';
/** Producers check every few seconds; this covers one that is stopped over a weekend. */
const KEPT_MS = 3 * 86_400_000;
/** About 10 MB of Redis. A batch without a receipt is shipped again. */
const MAX_RECEIPTS = 100_000;
const FIND_AT_ONCE = 500;
/** With each receipt it would cost as much again. In between there may be a few more. */
const TRIM_EVERY_MS = 60_000;

/**
 * Removes the receipts' key if it is of another type, which takes and shows no receipts: a batch without one is shipped
 * again. Resolves to the names of what was removed.
 */
export async function removeCorruptReceipts(redis: Redis): Promise<string[]> {
  if (['zset', 'none'].includes(await redis.type(KEY))) return [];
  await redis.del(KEY);
  return ['shipped'];
}

/** Keeps receipts in a sorted set by time, in the same Redis as the log batches, so that both are lost together. */
export function createReceipts(redis: Redis): Receipts {
  let trimmedAtMs = -Infinity;
  return {
    async write(jobId) {
      const writing = redis.zadd(KEY, Date.now(), jobId);
      if (performance.now() - trimmedAtMs < TRIM_EVERY_MS) {
        await writing;
        return;
      }
      trimmedAtMs = performance.now();
      await Promise.all([writing, trim(redis)]);
    },
    async find(jobIds) {
      const found = new Set<string>();
      for (let start = 0; start < jobIds.length; start += FIND_AT_ONCE) {
        const some = jobIds.slice(start, start + FIND_AT_ONCE);
        const times = await redis.zmscore(KEY, ...some);
        for (const [i, id] of some.entries()) if (times[i] != null) found.add(id);
      }
      return found;
    },
    hasWrittenWithin: async (ms) => (await redis.zcount(KEY, Date.now() - ms, '+inf')) > 0,
  };
}

async function trim(redis: Redis): Promise<void> {
  await redis.zremrangebyscore(KEY, '-inf', Date.now() - KEPT_MS);
  await redis.zremrangebyrank(KEY, 0, -1 - MAX_RECEIPTS);
}
