import type { TestContext } from './context.js';

/** A database's structure as sorted lines of text: two are the same exactly if the databases are. */
export type SchemaSnapshot = readonly string[];

/** One column as PostgreSQL knows it. */
export interface ColumnFacts {
  readonly table: string;
  readonly column: string;
  readonly type: string;
  readonly isNullable: boolean;
  readonly hasDefault: boolean;
}

const SNAPSHOT = `
  select format('column %s.%s %s%s default %s identity %s generated %s',
           c.relname, a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' else '' end,
           coalesce(pg_get_expr(d.adbin, d.adrelid), '-'), a.attidentity, a.attgenerated) as line
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm')
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
  union all
  select format('constraint %s on %s: %s', conname, coalesce(conrelid::regclass::text, '-'), pg_get_constraintdef(oid))
    from pg_constraint where connamespace = 'public'::regnamespace
  union all
  select format('index %s', indexdef) from pg_indexes where schemaname = 'public'
  union all
  select format('relation %s %s %s', relkind, relname, coalesce(array_to_string(reloptions, ','), ''))
    from pg_class where relnamespace = 'public'::regnamespace
  union all
  select format('routine %s', pg_get_functiondef(oid)) from pg_proc where pronamespace = 'public'::regnamespace
  union all
  select format('trigger %s', pg_get_triggerdef(oid)) from pg_trigger where not tgisinternal
  union all
  select format('type %s', typname) from pg_type
   where typnamespace = 'public'::regnamespace and typtype in ('e', 'd', 'r')
  order by line`;

/** Everything that migrations can make: columns, constraints, indexes, storage settings, routines, triggers, types. */
export async function snapshotSchema({ rows }: Pick<TestContext, 'rows'>): Promise<SchemaSnapshot> {
  return (await rows<{ line: string }>(SNAPSHOT)).map(({ line }) => line);
}

/** Every column of every table but the migrations' own; partitions are part of their table. */
export function columnsOf({ rows }: Pick<TestContext, 'rows'>): Promise<ColumnFacts[]> {
  return rows<ColumnFacts>(
    `select table_name as "table", column_name as "column", data_type as "type", is_nullable = 'YES' as "isNullable",
            column_default is not null or is_identity = 'YES' as "hasDefault"
       from information_schema.columns
      where table_schema = 'public' and table_name <> 'schema_migrations'
        and not (select relispartition from pg_class where oid = table_name::regclass)
      order by table_name, column_name`,
  );
}

/** What processes write by themselves, and the audit trail, which tells of refusals too. */
const WRITTEN_BY_ITSELF = [
  'audit_events',
  'processes',
  'metric_minutes',
  'alerts',
  'alert_notices',
  'heartbeats',
  'task_runs',
];

/** A text that changes when any row of any table does, but for those that are {@link WRITTEN_BY_ITSELF}. */
export async function fingerprint(context: Pick<TestContext, 'rows'>): Promise<string> {
  const names = (await columnsOf(context)).map(({ table }) => table);
  const tables = [...new Set(names)].filter((name) => !WRITTEN_BY_ITSELF.includes(name));
  const sums = tables.map(
    (table) =>
      `select '${table}' as name, md5(coalesce(string_agg(t::text, '|' order by t::text), '')) as sum from ${table} t`,
  );
  return JSON.stringify(await context.rows(`${sums.join(' union all ')} order by name`));
}
