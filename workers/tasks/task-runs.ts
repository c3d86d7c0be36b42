import type { Database } from '../../shared/database/connect.js';
import type { Logger } from '../../shared/logging/logger.js';
import { maskError, maskPersonalData } from '../../shared/logging/mask.js';
import type { TaskName } from '../../shared/tasks/catalogue.js';
import type { Sweep } from '../relay/sweep.js';

export interface TaskRunDeps {
  readonly database: Database;
  readonly log: Logger;
  /** The name of this process. */
  readonly worker: string;
}

/** Records the last run of each task, over all workers, for the operators' schedule. */
export interface TaskRuns {
  /**
   * Runs a task and records how it ended, and how many runs in a row have failed. A run that the signal has ended early is
   * not recorded. A record that cannot be written changes nothing for the task.
   * @throws what the task throws.
   */
  record<R extends object>(
    task: TaskName,
    signal: AbortSignal | undefined,
    run: () => Promise<R>,
  ): Promise<R>;
}

const MAX_ERROR = 300;

export function createTaskRuns(deps: TaskRunDeps): TaskRuns {
  return {
    async record(task, signal, run) {
      const startedAt = new Date();
      try {
        const result = await run();
        if (!signal?.aborted)
          await write(deps, task, { startedAt, outcome: 'completed', result, error: null });
        return result;
      } catch (error) {
        const text = maskPersonalData(String(error), MAX_ERROR);
        await write(deps, task, {
          startedAt,
          outcome: 'failed',
          result: { failed_in_a_row: 1 },
          error: text,
        });
        throw error;
      }
    },
  };
}

interface TaskRun {
  readonly startedAt: Date;
  readonly outcome: 'completed' | 'failed';
  readonly result: object;
  readonly error: string | null;
}

async function write(
  { database, log, worker }: TaskRunDeps,
  task: TaskName,
  { startedAt, outcome, result, error }: TaskRun,
): Promise<void> {
  try {
    await database.query(
      `insert into task_runs (task, started_at, finished_at, worker, outcome, result, error)
       values ($task, $startedAt, now(), $worker, $outcome, $result::jsonb, $error)
       on conflict (task) do update
         set started_at = excluded.started_at, finished_at = excluded.finished_at, worker = excluded.worker,
             outcome = excluded.outcome, error = excluded.error,
             result = case excluded.outcome
               when 'failed' then
                 jsonb_build_object('failed_in_a_row', coalesce((task_runs.result->>'failed_in_a_row')::int, 0) + 1)
               else excluded.result end`,
      {
        bind: { task, startedAt, worker, outcome, result: JSON.stringify(result), error },
      },
    );
  } catch (failure) {
    log.warn({ 'labels.task': task, err: maskError(failure) }, 'task run not recorded');
  }
}

/** The same sweep, whose runs are recorded, whoever asks for them. */
export const recordSweeps = (sweep: Sweep, runs: TaskRuns): Sweep => ({
  run: (scope) => runs.record('sweep-outbox', scope?.signal, () => sweep.run(scope)),
});
