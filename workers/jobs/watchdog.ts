import { startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { JobQueue } from '../../shared/queues/job-queue.js';
import type { Refusals } from './pause-on-redis-errors.js';

/** What the watchdog looks at. */
export interface WatchdogDeps {
  readonly producer: Pick<JobQueue, 'countRunnable'>;
  /** How long ago the worker took a job last, or 0 while it has one. */
  readonly idleMs: () => number;
  /** While Redis refuses the worker's commands nobody could work, and a new process no more than this one. */
  readonly refusals: Refusals;
  readonly log: Logger;
  /** The worker has stopped working, and nothing but a new process helps. */
  readonly onSilent: () => void;
}

/** How patient the watchdog is. */
export interface Patience {
  readonly lookEveryMs: number;
  readonly silentAfterMs: number;
}

const patience: Patience = { lookEveryMs: 15_000, silentAfterMs: 60_000 };
/** Seen so often in a row; once may be the moment before it wakes up. */
const LOOKS = 2;

/**
 * Notices a worker that takes no jobs although some could be worked on: a lost connection can leave one deaf for good.
 * A supervisor starts another process in its place.
 */
export function startWatchdog(
  { producer, idleMs, refusals, log, onSilent }: WatchdogDeps,
  { lookEveryMs, silentAfterMs }: Patience = patience,
): Repeating {
  let strikes = 0;
  const isSilent = async (): Promise<boolean> => {
    if (Math.min(idleMs(), refusals.sinceLastMs()) < silentAfterMs) return false;
    try {
      return (await producer.countRunnable()) > 0;
    } catch {
      // With Redis away nobody can work; its client has logged it.
      return false;
    }
  };
  return startRepeating(async () => {
    strikes = (await isSilent()) ? strikes + 1 : 0;
    if (strikes === LOOKS) {
      log.fatal({ 'labels.idle_ms': Math.round(idleMs()) }, 'queue consumer stalled');
      onSilent();
    }
    return lookEveryMs;
  }, lookEveryMs);
}
