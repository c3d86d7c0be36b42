import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import type { DoctorFinding } from './checks.js';

/** From here on it is told. */
const TOLD_SHARE = 0.5;
/** From here on it is a problem, while there is still time to act. */
const SCARCE_SHARE = 0.8;

interface IdColumn {
  readonly column: string;
  readonly usedShare: number;
}

/** How much of their ids the tables have used; nothing while each has used less than half of its. */
export async function examineIds(database: Database): Promise<DoctorFinding[]> {
  const columns = await database.query<IdColumn>(
    // A sequence may be wider than its column. One without a last value was never used.
    `select t.relname || '.' || a.attname as column,
            s.last_value::float8 / least(s.max_value, case a.atttypid
              when 'smallint'::regtype then 32767 when 'integer'::regtype then 2147483647 else s.max_value end) as "usedShare"
       from pg_sequences s
       join pg_depend d on d.classid = 'pg_class'::regclass
                       and d.objid = format('%I.%I', s.schemaname, s.sequencename)::regclass
                       and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
       join pg_class t on t.oid = d.refobjid
       join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
      where s.schemaname = current_schema() and s.last_value is not null
      order by "usedShare" desc, "column"`,
    { type: QueryTypes.SELECT },
  );
  const used = columns.filter(({ usedShare }) => usedShare >= TOLD_SHARE);
  if (used.length === 0) return [];
  return [
    {
      check: 'ids',
      ok: used.every(({ usedShare }) => usedShare < SCARCE_SHARE),
      found: `used up: ${used.map(describe).join(', ')}`,
      advice: 'When none is left, every insert into the table fails. See the runbook: Ids run out.',
    },
  ];
}

const describe = ({ column, usedShare }: IdColumn): string =>
  `${Math.floor(100 * usedShare)} % of ${column}`;
