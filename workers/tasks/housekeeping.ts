import { jittered, startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { TaskName, Tasks } from './tasks.js';

const TASKS: readonly TaskName[] = ['rotate-audit', 'purge-expired'];
const FIRST_AFTER_MS = 10_000;
const EVERY_MS = 6 * 3_600_000;

/**
 * Runs the tasks that keep the tables small, four times a day until stopped, so that nothing depends on somebody's
 * cron. Every worker with the relay's role does; the tasks are harmless to run twice.
 */
export function startHousekeeping(tasks: Tasks, log: Logger): Repeating {
  const turn = async (signal: AbortSignal): Promise<number> => {
    for (const name of TASKS) {
      if (signal.aborted) break;
      try {
        await tasks.run(name);
      } catch (error) {
        log.warn({ err: error, 'labels.task': name }, 'task failed; will retry');
      }
    }
    return jittered(EVERY_MS, 0.1);
  };
  return startRepeating(turn, jittered(FIRST_AFTER_MS, 0.5));
}
