import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';
import { shipLogBatch } from '../jobs/index.js';
import type { JobPayload } from '../jobs/define-job.js';
import type { JobQueue } from '../queues/job-queue.js';
import { createLogBatcher, type LogBatch } from './log-batcher.js';

const gzip = promisify(gzipCallback);

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
 * is made of the process's boot id and the batch's number: handing the same batch over twice ships it once.
 */
export function createLogShipper(): LogShipper {
  const bootId = randomUUID();
  let sequence = 0;
  const ids = new WeakMap<LogBatch, string>();
  let queue: JobQueue | undefined;
  let report: (lines: number) => void = () => undefined;

  const batcher = createLogBatcher({
    async handOver(batch) {
      if (!queue) throw new Error('no queue yet');
      const id = ids.get(batch) ?? `l-${bootId}-${sequence++}`;
      ids.set(batch, id);
      const payload: JobPayload<typeof shipLogBatch> = {
        v: 1,
        count: batch.lines.length,
        lines: (await gzip(batch.lines.join(''), { level: 1 })).toString('base64'),
      };
      await queue.add({ id, name: shipLogBatch.name, data: payload });
    },
    onDropped: (lines) => report(lines),
  });

  return {
    write: batcher.write,
    connect(to, onDropped) {
      queue = to;
      report = onDropped;
    },
    close: batcher.close,
  };
}
