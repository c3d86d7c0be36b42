import { randomUUID } from 'node:crypto';
import { isDatabaseUnavailable, mayConcernOneRow } from '../../../shared/database/failures.js';
import { jittered, startRepeating, type Repeating } from '../../../shared/lifecycle/repeat.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { createLogThrottle } from '../../../shared/logging/log-throttle.js';
import {
  findUnclaimedBulkAction,
  postponeBulkAction,
  runBulkAction,
  type BulkRun,
} from './bulk-actions.service.js';
import type { DeadLetterDeps } from './dead-letters.service.js';

export interface BulkActionRunnerDeps extends DeadLetterDeps {
  readonly log: Logger;
}

const IDLE_MS = 5_000;
const SAME_ERROR_EVERY_MS = 60_000;

/**
 * Carries out bulk actions until stopped, one at a time: those of this process's console at once after `runNow`, and within
 * seconds those that another process left. PostgreSQL's outages are waited for. An action that fails is logged and tried again
 * a minute later, after the others.
 */
export function startBulkActionRunner(deps: BulkActionRunnerDeps): Repeating {
  const runner = randomUUID();
  const isDue = createLogThrottle(SAME_ERROR_EVERY_MS);
  return startRepeating(
    async (signal) => {
      try {
        const id = await findUnclaimedBulkAction(deps);
        if (id === undefined) return jittered(IDLE_MS, 0.2);
        await runOrPostpone(deps, id, { runner, signal, follows: false });
        return 0;
      } catch (error) {
        if (!isDatabaseUnavailable(error) && isDue(String(error)))
          deps.log.error({ err: error }, 'bulk action failed; will retry');
        return jittered(IDLE_MS, 0.2);
      }
    },
    jittered(IDLE_MS, 0.5),
    { unref: true },
  );
}

async function runOrPostpone(deps: BulkActionRunnerDeps, id: string, run: BulkRun): Promise<void> {
  try {
    await runBulkAction(deps, id, run);
  } catch (error) {
    if (isDatabaseUnavailable(error) && !mayConcernOneRow(error)) throw error;
    deps.log.error({ err: error, 'labels.bulk_action': id }, 'bulk action failed; will retry');
    await postponeBulkAction(deps, id, run.runner);
  }
}
