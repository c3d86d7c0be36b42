import type { QueueName } from '../jobs/define-job.js';
import type { JobQueue } from './job-queue.js';
import type { RedisMemory } from './redis-memory.js';

/** Tells whether a queue should be given more jobs. What finds no room waits where it is, and nothing is lost. */
export interface QueueRoom {
  /**
   * @param bytes how large the jobs are that are about to be added, roughly.
   * @throws when Redis does not answer.
   */
  has(bytes: number, jobs?: number): Promise<boolean>;
}

/** From where on a queue is given no more jobs. */
interface QueueBounds {
  /** Of the memory of the Redis that holds it. */
  readonly memoryShare: number;
  readonly openJobs: number;
}

/**
 * A Redis at its limit never recovers by itself: workers need memory to finish jobs. So logs stop well before mails do,
 * mails well before the limit, and the last quarter is the workers' own.
 */
export const queueBounds: Readonly<Record<QueueName, QueueBounds>> = {
  mail: { memoryShare: 0.75, openJobs: 10_000 },
  logs: { memoryShare: 0.6, openJobs: 1_000 },
};

const COUNT_EVERY_MS = 1_000;

/** Watches one queue's room: its jobs, as of about a second ago, and the memory of the Redis that holds it. */
export function createQueueRoom(
  name: QueueName,
  queue: Pick<JobQueue, 'countOpen'>,
  memory: RedisMemory,
): QueueRoom {
  const { memoryShare, openJobs } = queueBounds[name];
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
