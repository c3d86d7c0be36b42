import type { Worker } from 'bullmq';
import type { QueueName } from '../../shared/jobs/define-job.js';
import type { Logger } from '../../shared/logging/logger.js';
import { isRefusal, refusalCode, refusalOfRedis } from '../../shared/queues/redis-refusals.js';
import type { FaultBoard } from './fault-board.js';

export interface PauseOnRedisErrorsDeps {
  readonly queue: QueueName;
  readonly worker: Worker<unknown, string>;
  readonly faults: FaultBoard;
  readonly log: Logger;
}

/** How Redis has treated the worker. */
export interface Refusals {
  /** How long ago Redis refused a command of the worker last; infinite when it never has. */
  sinceLastMs(): number;
}

const REFUSALS_BEFORE_REST = 20;
const WITHIN_MS = 10_000;
const REST_MS = 5_000;
/** A flag for each queue: one that is worked on says nothing of another, which may be in a Redis of its own. */
const PARTS = { mail: 'redis_refuses', logs: 'redis_refuses_logs' } as const;

/**
 * Pauses a worker for a while when Redis is there and refuses everything, for want of memory, disk or rights: BullMQ
 * would try again thousands of times a second. Readiness is red until a job of this queue is done again.
 */
export function pauseOnRedisErrors({
  queue,
  worker,
  faults,
  log,
}: PauseOnRedisErrorsDeps): Refusals {
  const part = PARTS[queue];
  let refusals: number[] = [];
  let lastAt = -Infinity;

  const rest = (error: Error): void => {
    const code = refusalCode(error);
    const fields = { 'labels.queue': queue, 'labels.rest_ms': REST_MS };
    if (code === 'OOM') {
      faults.raise(part, 'Redis has no memory left');
      log.error(fields, 'Redis out of memory; consumer paused');
    } else {
      faults.raise(part, `Redis ${refusalOfRedis(error)}`);
      log.error({ ...fields, 'event.reason': code }, 'Redis rejects commands; consumer paused');
    }
    void worker.pause(true);
    setTimeout(() => {
      if (worker.closing === undefined) void worker.resume();
    }, REST_MS).unref();
  };
  worker.on('error', (error) => {
    // An answer of Redis's own, as opposed to a connection that is gone: BullMQ waits for that by itself.
    if (!isRefusal(error)) return;
    lastAt = performance.now();
    if (worker.isPaused()) return;
    refusals = [...refusals.filter((at) => lastAt - at < WITHIN_MS), lastAt];
    if (refusals.length < REFUSALS_BEFORE_REST) return;
    refusals = [];
    rest(error);
  });
  worker.on('completed', () => faults.clear(part));
  return { sinceLastMs: () => performance.now() - lastAt };
}
