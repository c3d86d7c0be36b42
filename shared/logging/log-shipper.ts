import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';
import { shipLogBatch } from '../jobs/index.js';
import type { JobPayload } from '../jobs/define-job.js';
import type { JobQueue, NewJob } from '../queues/job-queue.js';
import { createLogBatcher, type LogBatch } from './log-batcher.js';

const gzip = promisify(gzipCallback);

/** With so many batches on their way the queue takes no more: Redis has the mails to hold as well. */
const MAX_OPEN_BATCHES = 1_000;
const COUNT_EVERY_MS = 1_000;

/** Sends a process's log lines on their way to Firehose, in batches, through the logs queue. */
export interface LogShipper {
  /** Takes a line; never blocks, never throws. Lines are held until a queue is there to take them. */
  write(line: string): void;
  /** From now on, batches go to this queue. */
  connect(queue: JobQueue, onDropped: (lines: number) => void): void;
  /** Hands over what is held, or gives up at the deadline. */
  close(deadlineMs: number): Promise<void>;
}

/**
 * The logger exists before the queues do, so the shipper takes lines at once and is connected later. A batch's job id
 * is made of the process's boot id and the batch's number, so that a batch handed over twice, because the first answer
 * was lost, is one job while that job is open. One that was shipped meanwhile is forgotten, and is shipped again: at
 * least once. While Firehose takes nothing, batches stay in this process once a thousand of them are in Redis.
 */
export function createLogShipper(): LogShipper {
  const bootId = randomUUID();
  let sequence = 0;
  const ids = new WeakMap<LogBatch, string>();
  let add: ((job: NewJob) => Promise<void>) | undefined;
  let report: (lines: number) => void = () => undefined;

  const batcher = createLogBatcher({
    async handOver(batch) {
      if (!add) throw new Error('no queue yet');
      const id = ids.get(batch) ?? `l-${bootId}-${sequence++}`;
      ids.set(batch, id);
      const payload: JobPayload<typeof shipLogBatch> = {
        v: 1,
        count: batch.lines.length,
        lines: (await gzip(batch.lines.join(''), { level: 1 })).toString('base64'),
      };
      await add({ id, name: shipLogBatch.name, data: payload });
    },
    onDropped: (lines) => report(lines),
  });

  return {
    write: batcher.write,
    connect(queue, onDropped) {
      add = createBoundedAdd(queue);
      report = onDropped;
    },
    close: batcher.close,
  };
}

/** Adds jobs until the queue is full, and rejects them until it no longer is, as of about a second ago. */
function createBoundedAdd(queue: JobQueue): (job: NewJob) => Promise<void> {
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
  return async (job) => {
    if (isFull()) await count();
    if (isFull()) throw new Error('the logs queue is full');
    void count();
    await queue.add(job);
  };
}
