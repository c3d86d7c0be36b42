import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import { taskNames, type TaskName } from './catalogue.js';

/** How the last runs of a periodic task ended, over all workers. */
export interface TaskRunFacts {
  readonly task: TaskName;
  /** How many runs in a row have failed; 0 if the last one completed, or none has ended. */
  readonly failedRuns: number;
  readonly error: string | null;
  /** `undefined` if none has ended. */
  readonly finishedSecondsAgo: number | undefined;
}

interface Row {
  readonly task: string;
  readonly failedRuns: number;
  readonly error: string | null;
  readonly finishedSecondsAgo: number | null;
}

/** Reads how the last runs of every periodic task ended. @throws the database's error. */
export async function readTaskRuns(database: Database): Promise<TaskRunFacts[]> {
  const rows = await database.query<Row>(
    // An older release writes no number.
    `select task, error, extract(epoch from now() - finished_at)::float8 as "finishedSecondsAgo",
            case when outcome = 'failed' then coalesce((result->>'failed_in_a_row')::int, 1) else 0 end as "failedRuns"
       from task_runs`,
    { type: QueryTypes.SELECT },
  );
  return taskNames.map((task) => {
    const row = rows.find((each) => each.task === task);
    return {
      task,
      failedRuns: row?.failedRuns ?? 0,
      error: row?.error ?? null,
      finishedSecondsAgo: row?.finishedSecondsAgo ?? undefined,
    };
  });
}
