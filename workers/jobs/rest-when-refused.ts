import type { Worker } from 'bullmq';
import type { Logger } from '../../shared/logging/logger.js';
import type { FaultBoard } from './fault-board.js';

/** What keeps a worker from spinning is made of. */
export interface RestWhenRefusedDeps {
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
/** Redis's word for why, which older ones put behind a word about the script: `OOM`, `MISCONF`, `READONLY`, `NOAUTH`. */
const CODE = /(?:^|\s-)(?!ERR\b)([A-Z]+)\b/;

/**
 * Pauses a worker for a while when Redis is there and refuses everything, for want of memory, disk or rights: BullMQ
 * would try again thousands of times a second. Readiness is red until a job is done again.
 */
export function restWhenRefused({ worker, faults, log }: RestWhenRefusedDeps): Refusals {
  let refusals: number[] = [];
  let lastAt = -Infinity;

  const rest = (code: string): void => {
    if (code === 'OOM') {
      faults.raise('redis_refuses', 'Redis has no memory left');
      log.error({ 'labels.rest_ms': REST_MS }, 'Redis has no memory left; the worker rests');
    } else {
      faults.raise('redis_refuses', `Redis refuses commands: ${code}`);
      log.error(
        { 'labels.rest_ms': REST_MS, 'event.reason': code },
        'Redis refuses commands; the worker rests',
      );
    }
    void worker.pause(true);
    setTimeout(() => {
      if (worker.closing === undefined) void worker.resume();
    }, REST_MS).unref();
  };
  worker.on('error', (error) => {
    // An answer of Redis's own, as opposed to a connection that is gone: BullMQ waits for that by itself.
    if (error.name !== 'ReplyError') return;
    lastAt = performance.now();
    if (worker.isPaused()) return;
    refusals = [...refusals.filter((at) => lastAt - at < WITHIN_MS), lastAt];
    if (refusals.length < REFUSALS_BEFORE_REST) return;
    refusals = [];
    rest(CODE.exec(error.message)?.[1] ?? 'ERR');
  });
  worker.on('completed', () => faults.clear('redis_refuses'));
  return { sinceLastMs: () => performance.now() - lastAt };
}
