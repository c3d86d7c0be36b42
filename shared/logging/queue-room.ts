import type { JobQueue } from '../queues/job-queue.js';

/** Tells a producer of batches whether Redis may be given so many bytes more. */
export type HasRoom = (bytes: number) => Promise<boolean>;

/** With so many batches on their way the queue takes no more: Redis has the mails to hold as well. */
const MAX_OPEN_BATCHES = 1_000;
const COUNT_EVERY_MS = 1_000;

/** There is room until the queue is full, and again once it no longer is, as of about a second ago. */
export function createQueueRoom(queue: Pick<JobQueue, 'countOpen'>): HasRoom {
  let openBatches = 0;
  let countedAt = -Infinity;
  const isFull = (): boolean => openBatches >= MAX_OPEN_BATCHES;
  const count = async (): Promise<void> => {
    if (performance.now() - countedAt < COUNT_EVERY_MS) return;
    countedAt = performance.now();
    try {
      openBatches = await queue.countOpen();
    } catch {
      // What is wrong with Redis shows when a job is added; until then the last count stands.
    }
  };
  return async () => {
    if (isFull()) await count();
    else void count();
    return !isFull();
  };
}
