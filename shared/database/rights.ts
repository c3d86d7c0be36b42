import type { Statement, Statements } from './statements.js';

type Columns = 'all' | readonly string[];

/** What a role may do with some tables. The order of the privileges is that of the documented grant. */
interface TableRights {
  readonly on: readonly string[];
  readonly select?: Columns;
  readonly insert?: 'all';
  readonly update?: Columns;
  readonly delete?: 'all';
}

/** What a process's role in PostgreSQL must be granted of tables and functions; documented in docs/security.md. */
export interface Rights {
  readonly tables: readonly TableRights[];
  readonly functions: readonly string[];
}

/**
 * The API and the command line: no DDL, and neither update nor delete on the audit trail. Tables are named one by one, since a
 * grant on all tables, or by default, would include the audit's monthly partitions.
 */
export const apiRights: Rights = {
  tables: [
    {
      on: [
        ...['admins', 'registrations', 'users', 'sessions', 'confirmations', 'outbox'],
        ...['suppressions', 'processes', 'metric_minutes', 'task_runs', 'bulk_actions'],
        ...['alerts', 'alert_notices', 'heartbeats'],
      ],
      select: 'all',
      insert: 'all',
      update: 'all',
      delete: 'all',
    },
    { on: ['audit_events'], select: 'all', insert: 'all' },
    // The worker or the migrations write them.
    { on: ['deliveries', 'mail_events', 'schema_migrations'], select: 'all' },
  ],
  functions: [],
};

/** What a worker may change of a message: not what is sent, and not to whom. */
const DELIVERY_COLUMNS = [
  ...['state', 'outcome', 'generation', 'attempts', 'unanswered', 'enqueue_count', 'available_at'],
  ...['enqueued_at', 'checked_at', 'claimed_until', 'settled_at', 'given_up_at', 'last_error'],
  'template',
];

/**
 * The worker: no DDL, no password hash, no token, no user. It deletes rows that have expired, and for that must be able to lock
 * them, which takes the right to update any one column: where it updates nothing, the key. The months of the audit are made and
 * dropped by functions.
 */
export const workerRights: Rights = {
  tables: [
    { on: ['outbox'], select: 'all', update: DELIVERY_COLUMNS, delete: 'all' },
    { on: ['deliveries'], select: 'all', insert: 'all', update: 'all' },
    { on: ['mail_events'], select: 'all', insert: 'all', update: ['id'], delete: 'all' },
    { on: ['suppressions'], select: 'all', insert: 'all', update: 'all', delete: 'all' },
    { on: ['confirmations'], select: 'all', update: ['superseded_at'], delete: 'all' },
    {
      on: ['admins'],
      select: ['id', 'name', 'email', 'email_canonical', 'pending_email', 'updated_at'],
      update: ['pending_email', 'updated_at'],
    },
    {
      on: ['registrations'],
      select: ['id', 'email_canonical', 'created_at'],
      update: ['id'],
      delete: 'all',
    },
    { on: ['sessions'], select: ['id', 'ended_at', 'expires_at'], update: ['id'], delete: 'all' },
    {
      on: ['bulk_actions'],
      select: ['id', 'created_at', 'finished_at'],
      update: ['id'],
      delete: 'all',
    },
    {
      on: ['processes', 'metric_minutes', 'alerts'],
      select: 'all',
      insert: 'all',
      update: 'all',
      delete: 'all',
    },
    {
      on: ['task_runs', 'alert_notices', 'heartbeats'],
      select: 'all',
      insert: 'all',
      update: 'all',
    },
    { on: ['audit_events'], select: 'all', insert: 'all' },
    { on: ['schema_migrations'], select: 'all' },
  ],
  functions: ['prepare_audit_month(integer)', 'drop_old_audit_months()'],
};

interface Right {
  readonly target: string;
  readonly privilege: string;
  /** Null: of the whole table. */
  readonly column: string | null;
}

/** What does not exist is not missed: its migration is pending. */
const MISSING: Statement = {
  name: 'find-missing-rights',
  text: `
    select target, privilege, "column"
      from unnest($1::text[], $2::text[], $3::text[]) as wanted (target, privilege, "column")
      left join pg_attribute on attrelid = to_regclass(target) and attname = "column"
     where not case when "column" is null then has_table_privilege(to_regclass(target), privilege)
                    else has_column_privilege(attrelid, attnum, privilege) end
    union all
    select target, 'execute', null
      from unnest($4::text[]) as target
     where not has_function_privilege(to_regprocedure(target), 'execute')`,
};

/** What the role of this connection lacks, in the words of grants, such as `update (pending_email) on admins`. */
export async function findMissingRights(
  statements: Pick<Statements, 'run'>,
  rights: Rights,
): Promise<string[]> {
  const wanted = rights.tables.flatMap(eachRight);
  const missing = await statements.run<Right>(MISSING, [
    wanted.map(({ target }) => target),
    wanted.map(({ privilege }) => privilege),
    wanted.map(({ column }) => column),
    rights.functions,
  ]);
  const byGrant = new Map<string, { privilege: string; target: string; columns: string[] }>();
  for (const { privilege, target, column } of missing) {
    const key = `${privilege} on ${target}`;
    const found = byGrant.get(key) ?? { privilege, target, columns: [] };
    if (column !== null) found.columns.push(column);
    byGrant.set(key, found);
  }
  return Array.from(byGrant.values(), ({ privilege, target, columns }) =>
    columns.length === 0
      ? `${privilege} on ${target}`
      : `${privilege} (${columns.join(', ')}) on ${target}`,
  );
}

const eachRight = ({ on, ...privileges }: TableRights): Right[] =>
  on.flatMap((target) =>
    Object.entries(privileges).flatMap(([privilege, columns]: [string, Columns]) =>
      (columns === 'all' ? [null] : columns).map((column) => ({ target, privilege, column })),
    ),
  );
