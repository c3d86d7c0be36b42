import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import { jittered, startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import { createLogThrottle } from '../../shared/logging/log-throttle.js';
import { maskError } from '../../shared/logging/mask.js';
import { taskNames, type TaskName } from '../../shared/tasks/catalogue.js';
import type { Tasks } from './tasks.js';

export interface RequestedTaskDeps {
  readonly database: Database;
  readonly tasks: Pick<Tasks, 'run'>;
  readonly log: Logger;
}

const EVERY_MS = 5_000;
/** Longer than any task takes. A request whose worker dies, or whose run fails, is due again after it. */
const CLAIM_MINUTES = 5;
const SAME_ERROR_EVERY_MS = 60_000;

/**
 * Runs the tasks that operators ask for within seconds, until stopped. One worker runs each; if it dies or fails, one does
 * later.
 */
export function startRequestedTasks(deps: RequestedTaskDeps, everyMs = EVERY_MS): Repeating {
  const isDue = createLogThrottle(SAME_ERROR_EVERY_MS);
  return startRepeating(
    async (signal) => {
      try {
        for (const request of await claimRequested(deps.database))
          await runRequested(deps, request, signal);
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

/** A claimed request. While it is claimed, `requested_at` is the time when the claim ends. */
interface RequestedRun {
  readonly task: TaskName;
  readonly claimedUntil: string;
}

async function claimRequested(database: Database): Promise<RequestedRun[]> {
  return database.query<RequestedRun>(
    `update task_runs set requested_at = now() + interval '${CLAIM_MINUTES} minutes'
      where requested_at <= now() and task = any($names::text[])
     returning task, requested_at::text as "claimedUntil"`,
    { type: QueryTypes.SELECT, bind: { names: taskNames } },
  );
}

async function runRequested(
  { database, tasks, log }: RequestedTaskDeps,
  request: RequestedRun,
  stopping: AbortSignal,
): Promise<void> {
  if (stopping.aborted) return endClaim(database, request, 'now()');
  try {
    await tasks.run(request.task);
  } catch (error) {
    log.warn({ err: error, 'labels.task': request.task }, 'task failed; will retry');
    return;
  }
  // Asked to stop, the run may be incomplete: another worker repeats it.
  await endClaim(database, request, stopping.aborted ? 'now()' : 'null');
}

/** A request that was made meanwhile stays. */
async function endClaim(
  database: Database,
  { task, claimedUntil }: RequestedRun,
  requestedAt: 'now()' | 'null',
): Promise<void> {
  await database.query(
    `update task_runs set requested_at = ${requestedAt}
      where task = $task and requested_at = $claimedUntil::timestamptz`,
    { bind: { task, claimedUntil } },
  );
}
