import type { Worker } from 'bullmq';
import type { Logger } from '../../shared/logging/logger.js';
import {
  refusalCode,
  refusalOfRedis,
  type RedisRefusal,
} from '../../shared/queues/redis-refusals.js';
import { queueRegistry, type QueueName } from '../../shared/queues/registry.js';
import type { DependencyFaults } from './dependency-faults.js';

export interface PauseOnRedisErrorsDeps {
  readonly queue: QueueName;
  readonly worker: Worker<unknown, string>;
  readonly faults: DependencyFaults;
  readonly log: Logger;
}

/** When Redis has refused the worker's commands. */
export interface Refusals {
  /** Milliseconds since the last refusal; infinite when there was none. */
  sinceLastMs(): number;
}

const REFUSALS_BEFORE_PAUSE = 20;
const WITHIN_MS = 10_000;
const PAUSE_MS = 5_000;
/** If refusals last this long and no job completes, readiness fails even when they are too few to pause the consumer. */
const UNREADY_AFTER_MS = 5_000;
/** Refusals belong together: a job that cannot be finished is refused once, and again when it is found stalled. */
const SAME_SERIES_WITHIN_MS = 60_000;
/** An idle worker completes no job. While Redis refuses its commands, it is refused more often than this. */
const RECOVERED_AFTER_MS = 2 * SAME_SERIES_WITHIN_MS;

/** Fails the readiness check of a queue. */
export const raiseRefusal = (
  faults: Pick<DependencyFaults, 'raise'>,
  queue: QueueName,
  { kind, problem }: RedisRefusal,
): void =>
  faults.raise(
    queueRegistry[queue].refusalCheck,
    `Redis ${kind === 'out_of_memory' ? 'has no memory left' : problem}`,
    kind,
  );

/**
 * Pauses a worker for a while when Redis answers but refuses everything, lacking memory, disk or rights: BullMQ would
 * retry thousands of times a second. The queue's readiness check fails until one of its jobs is done, or until nothing has
 * been refused for a while, also when single commands are refused and the worker retries at leisure.
 * @param recoveredAfterMs how long that is.
 */
export function pauseOnRedisErrors(
  { queue, worker, faults, log }: PauseOnRedisErrorsDeps,
  recoveredAfterMs = RECOVERED_AFTER_MS,
): Refusals {
  const check = queueRegistry[queue].refusalCheck;
  let refusals: number[] = [];
  let lastAt = -Infinity;
  let firstAt: number | undefined;
  let quiet: NodeJS.Timeout | undefined;

  const endRefusals = (): void => {
    firstAt = undefined;
    clearTimeout(quiet);
    quiet = undefined;
    faults.clear(check);
  };
  const pause = (refusal: RedisRefusal, code: string): void => {
    const fields = { 'labels.queue': queue, 'labels.rest_ms': PAUSE_MS };
    raiseRefusal(faults, queue, refusal);
    if (refusal.kind === 'out_of_memory') log.error(fields, 'Redis out of memory; consumer paused');
    else log.error({ ...fields, 'event.reason': code }, 'Redis rejects commands; consumer paused');
    void worker.pause(true);
    setTimeout(() => {
      if (worker.closing === undefined) void worker.resume();
    }, PAUSE_MS).unref();
  };
  worker.on('error', (error) => {
    // Only Redis's own answers: BullMQ itself waits for a lost connection.
    const refusal = refusalOfRedis(error);
    if (!refusal) return;
    const now = performance.now();
    if (firstAt === undefined || now - lastAt > SAME_SERIES_WITHIN_MS) firstAt = now;
    lastAt = now;
    quiet = quiet?.refresh() ?? setTimeout(endRefusals, recoveredAfterMs).unref();
    if (worker.isPaused()) return;
    if (now - firstAt >= UNREADY_AFTER_MS) raiseRefusal(faults, queue, refusal);
    refusals = [...refusals.filter((at) => now - at < WITHIN_MS), now];
    if (refusals.length < REFUSALS_BEFORE_PAUSE) return;
    refusals = [];
    pause(refusal, refusalCode(error));
  });
  worker.on('completed', endRefusals);
  return { sinceLastMs: () => performance.now() - lastAt };
}
