import { startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { JobQueue } from '../../shared/queues/job-queue.js';
import type { Refusals } from './pause-on-redis-errors.js';

export interface WatchdogDeps {
  readonly producer: Pick<JobQueue, 'countRunnable'>;
  /** Milliseconds since the worker took a job last; 0 while one is in flight. */
  readonly idleMs: () => number;
  /** While Redis refuses the worker's commands, a new process could not work either. */
  readonly refusals: Refusals;
  readonly log: Logger;
  /** Called once when the consumer has stalled: only a new process helps. */
  readonly onStalled: () => void;
}

export interface WatchdogSettings {
  readonly checkEveryMs: number;
  /** Without a job for so long, although some could be taken, a consumer counts as stalled. */
  readonly stalledAfterMs: number;
}

const defaults: WatchdogSettings = { checkEveryMs: 15_000, stalledAfterMs: 60_000 };
/** In a row: a consumer may be about to take a job at the first check. */
const FAILED_CHECKS = 2;

/**
 * Detects a stalled consumer, which takes no jobs although some are runnable: after a lost connection BullMQ may never
 * consume again. A supervisor has to start another process.
 */
export function startWatchdog(
  { producer, idleMs, refusals, log, onStalled }: WatchdogDeps,
  { checkEveryMs, stalledAfterMs }: WatchdogSettings = defaults,
): Repeating {
  let failedChecks = 0;
  const isStalled = async (): Promise<boolean> => {
    if (Math.min(idleMs(), refusals.sinceLastMs()) < stalledAfterMs) return false;
    try {
      return (await producer.countRunnable()) > 0;
    } catch {
      // Redis is unreachable, which its client has logged.
      return false;
    }
  };
  return startRepeating(async () => {
    failedChecks = (await isStalled()) ? failedChecks + 1 : 0;
    if (failedChecks === FAILED_CHECKS) {
      log.fatal({ 'labels.idle_ms': Math.round(idleMs()) }, 'queue consumer stalled');
      onStalled();
    }
    return checkEveryMs;
  }, checkEveryMs);
}
