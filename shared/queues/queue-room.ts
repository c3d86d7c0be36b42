import type { JobQueue } from './job-queue.js';
import type { RedisMemory } from './redis-memory.js';
import { queueRegistry, type QueueName } from './registry.js';

/** Backpressure: whether producers may add jobs to a queue. What finds no room waits where it is, and nothing is lost. */
export interface QueueRoom {
  /**
   * @param bytes the approximate size of the jobs that are about to be added.
   * @param jobs how many they are.
   * @throws when Redis does not answer.
   */
  has(bytes: number, jobs?: number): Promise<boolean>;
}

const COUNT_EVERY_MS = 1_000;

/** The room of one queue, by its open jobs as of about a second ago and the memory of the Redis that holds it. */
export function createQueueRoom(
  name: QueueName,
  queue: Pick<JobQueue, 'countOpen'>,
  memory: RedisMemory,
): QueueRoom {
  const { memoryShare, openJobs } = queueRegistry[name].bounds;
  let open = 0;
  let countedAt = -Infinity;
  let counting: Promise<void> | undefined;

  const count = async (): Promise<void> => {
    open = await queue.countOpen();
    countedAt = performance.now();
  };

  return {
    async has(bytes, jobs = 1) {
      const isOld = performance.now() - countedAt >= COUNT_EVERY_MS;
      if (isOld) await (counting ??= count().finally(() => (counting = undefined)));
      if (open >= openJobs || (await memory.usedShare(bytes)) >= memoryShare) return false;
      open += jobs;
      return true;
    },
  };
}
