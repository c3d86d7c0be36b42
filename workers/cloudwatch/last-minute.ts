import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { LOST_AFTER_SECONDS } from '../../shared/presence/read-processes.js';
import { keptName } from '../../shared/metrics/minutes.js';

/** What all processes together have written of the last full minute, and what the workers find broken now. */
export interface LastMinute {
  /** The value of a series: what was counted, or the greatest that was read; 0 if nothing was. */
  valueOf(metric: string, labels?: Readonly<Record<string, string>>): number;
  /** Whether a check fails in any live worker. */
  fails(check: string): boolean;
}

/** The series that are read. */
const names = [
  keptName('mail_outcomes', { outcome: 'sent' }),
  ...['throttle', 'misconfigured'].map((effect) => keptName('mail_failures', { effect })),
  ...['accepted', 'refused'].map((result) => keptName('firehose_records', { result })),
  ...['unavailable', 'misconfigured'].map((result) => keptName('firehose_calls', { result })),
  keptName('spool_bytes'),
  keptName('log_lines_dropped'),
];

interface Row {
  readonly counts: Readonly<Record<string, number>>;
  readonly failing: readonly string[];
}

/** Reads by the primary key of the minutes, and the processes of the last minutes: one statement. @throws the database's error. */
export async function readLastMinute(database: Database): Promise<LastMinute> {
  const [row] = await database.query<Row>(
    `select coalesce((
              select jsonb_object_agg(name, value) from metric_minutes
               where name = any($names::text[]) and minute = date_trunc('minute', now()) - interval '1 minute'
            ), '{}') as counts,
            coalesce((
              select jsonb_agg(distinct fact.key) from processes, jsonb_each(health) as fact
               where service = 'rollcall-worker' and stopped_at is null and seen_at > now() - $lost * interval '1 second'
                 and fact.value->>'ok' = 'false'
            ), '[]') as failing`,
    { type: QueryTypes.SELECT, bind: { names, lost: LOST_AFTER_SECONDS } },
  );
  const { counts = {}, failing = [] } = row ?? {};
  return {
    valueOf(metric, labels) {
      const name = keptName(metric, labels);
      if (!names.includes(name)) throw new Error(`${name} is not read`);
      return counts[name] ?? 0;
    },
    fails: (check) => failing.includes(check),
  };
}
