import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { taskCatalogue, taskNames, type TaskName } from '../../shared/tasks/catalogue.js';

export interface ScheduleDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** The last run of a task, by whichever worker; all null before the first. */
interface LastRun {
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
  readonly duration_ms: number | null;
  readonly worker: string | null;
  readonly outcome: 'completed' | 'failed' | null;
  /** What it did, as counts, by names in snake_case; of a failed run, how many have failed in a row. */
  readonly result: Readonly<Record<string, number>> | null;
  readonly error: string | null;
  /** When an operator asked for a run that no worker has begun. */
  readonly requested_at: Date | null;
}

/** A periodic task and its last run. */
export interface ScheduledTask extends LastRun {
  readonly task: TaskName;
  readonly does: string;
  readonly every_seconds: number;
  /** Its last run ended more than three of its intervals ago. */
  readonly is_overdue: boolean;
}

const NEVER: LastRun = {
  started_at: null,
  finished_at: null,
  duration_ms: null,
  worker: null,
  outcome: null,
  result: null,
  error: null,
  requested_at: null,
};

const OVERDUE_AFTER_INTERVALS = 3;

/** Every periodic task, with its last run. */
export async function readSchedule({
  database,
}: Pick<ScheduleDeps, 'database'>): Promise<ScheduledTask[]> {
  const runs = await database.query<LastRun & { task: string; age: number | null }>(
    `select task, started_at, finished_at, round(extract(epoch from finished_at - started_at) * 1000)::int as duration_ms,
            worker, outcome, result, error, extract(epoch from now() - finished_at)::float8 as age,
            case when requested_at > now() then now() else requested_at end as requested_at
       from task_runs`,
    { type: QueryTypes.SELECT },
  );
  return taskNames.map((task) => {
    const { does, everySeconds } = taskCatalogue[task];
    const { age, ...last } = runs.find((run) => run.task === task) ?? { ...NEVER, age: null };
    return Object.assign({}, last, {
      task,
      result: last.result && inSnakeCase(last.result),
      does,
      every_seconds: everySeconds,
      is_overdue: (age ?? 0) > OVERDUE_AFTER_INTERVALS * everySeconds,
    });
  });
}

/** Earlier versions recorded some names in camelCase. */
const inSnakeCase = (counts: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      count,
    ]),
  );

/** Asks for a run of a task: one worker with the role `relay` begins it within about five seconds. */
export async function requestTask(
  { database, audit }: ScheduleDeps,
  task: TaskName,
  cause: Cause,
): Promise<void> {
  await withTransaction(database, async (tx) => {
    await database.query(
      `insert into task_runs (task, requested_at) values ($task, now())
       on conflict (task) do update set requested_at = excluded.requested_at`,
      { transaction: tx, bind: { task } },
    );
    await audit.record('task_requested', cause, { details: { task } }, tx);
  });
}
