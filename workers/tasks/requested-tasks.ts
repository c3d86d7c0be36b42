import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import { jittered, startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import { createLogThrottle } from '../../shared/logging/log-throttle.js';
import { taskNames, type TaskName } from '../../shared/tasks/catalogue.js';
import { maskError } from '../mask.js';
import type { Tasks } from './tasks.js';

export interface RequestedTaskDeps {
  readonly database: Database;
  readonly tasks: Pick<Tasks, 'run'>;
  readonly log: Logger;
}

const EVERY_MS = 5_000;
const SAME_ERROR_EVERY_MS = 60_000;

/** Runs the tasks that operators ask for, each once over all workers, within seconds, until stopped. */
export function startRequestedTasks(deps: RequestedTaskDeps, everyMs = EVERY_MS): Repeating {
  const isDue = createLogThrottle(SAME_ERROR_EVERY_MS);
  return startRepeating(
    async (signal) => {
      try {
        for (const task of await claimRequested(deps.database)) {
          if (!signal.aborted) await runRequested(deps, task);
        }
      } catch (error) {
        // An outage is logged by the readiness checks.
        if (!isDatabaseUnavailable(error) && isDue(String(error)))
          deps.log.warn({ err: maskError(error) }, 'requested tasks not read');
      }
      return jittered(everyMs, 0.2);
    },
    jittered(everyMs, 0.5),
  );
}

/** The tasks that are asked for, which are not any longer: no other worker runs them. */
async function claimRequested(database: Database): Promise<TaskName[]> {
  const rows = await database.query<{ task: TaskName }>(
    `update task_runs set requested_at = null
      where requested_at is not null and task = any($names::text[]) returning task`,
    { type: QueryTypes.SELECT, bind: { names: taskNames } },
  );
  return rows.map(({ task }) => task);
}

async function runRequested({ tasks, log }: RequestedTaskDeps, task: TaskName): Promise<void> {
  try {
    await tasks.run(task);
  } catch (error) {
    log.warn({ err: error, 'labels.task': task }, 'task failed; will retry');
  }
}
