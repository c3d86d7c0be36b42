import type { Worker } from 'bullmq';
import type { Logger } from '../shared/logging/logger.js';
import type { FaultBoard } from './fault-board.js';

/** What keeps a worker from spinning is made of. */
export interface RestWhenFullDeps {
  readonly worker: Worker<unknown, string>;
  readonly faults: FaultBoard;
  readonly log: Logger;
}

const OUT_OF_MEMORY = /\bOOM command not allowed/;
const REFUSALS_BEFORE_REST = 20;
const WITHIN_MS = 10_000;
const REST_MS = 5_000;

/**
 * Pauses a worker for a while when Redis refuses everything for want of memory: BullMQ would try again thousands of
 * times a second. Readiness is red until a job is done again.
 */
export function restWhenFull({ worker, faults, log }: RestWhenFullDeps): void {
  let refusals: number[] = [];
  worker.on('error', (error) => {
    if (!OUT_OF_MEMORY.test(error.message) || worker.isPaused()) return;
    const now = performance.now();
    refusals = [...refusals.filter((at) => now - at < WITHIN_MS), now];
    if (refusals.length < REFUSALS_BEFORE_REST) return;
    refusals = [];
    faults.raise('redis_memory', 'Redis has no memory left');
    log.error({ 'labels.rest_ms': REST_MS }, 'Redis has no memory left; the worker rests');
    void worker.pause(true);
    setTimeout(() => {
      if (worker.closing === undefined) void worker.resume();
    }, REST_MS).unref();
  });
  worker.on('completed', () => faults.clear('redis_memory'));
}
