import test from 'ava';
import pg from 'pg';
import { STATEMENT_SETTINGS } from '../../shared/database/connect.js';
import { useSystem } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';

const context = useContext();
const system = useSystem(context);

/** Every statement that either process has prepared by name, with its text. */
const prepared = new Map<string, string>();
const { query } = pg.Client.prototype;
pg.Client.prototype.query = function recordPrepared(this: pg.Client, ...args: unknown[]) {
  const [config] = args as [{ readonly name?: string; readonly text?: string }];
  if (config.name !== undefined) prepared.set(config.name, config.text ?? '');
  return Reflect.apply(query, this, args) as unknown;
} as typeof query;

/** A scan of a whole table, or of a whole index. */
const READS_ALL_ROWS = /Seq Scan|hashed SubPlan|Index (?:Only )?Scan.*\n(?!\s+Index Cond)/;

/**
 * Statements that look up what is no longer needed by id. PostgreSQL takes a condition on a later column of an index alone
 * too, and then reads all of the index.
 */
const DELETE_OR_END = new Set(['open-session', 'insert-registration']);
const INDEX_CONDITION = /Index (?:Only )?Scan (?:Backward )?using (\S+).*\n\s+Index Cond: (.*)/g;

test('the plan of every prepared statement looks up by indexes, though it was made for empty tables', async (t) => {
  const { admins } = system;
  const admin = await admins.confirmedAdmin();
  const login = await admins.logIn(admin);
  const { body: user } = await admin.client.post<{ id: number }>('/users', {
    email: context.uniqueAddress(),
  });
  for (const path of [`/users/${user.id}`, '/users', '/auth/me'])
    t.is((await admin.client.get(path)).status, 200, path);
  const { body } = await system.client.post<{ access_token: string }>('/auth/refresh', {
    refresh_token: login.refresh_token,
  });
  t.is((await system.client.as(body.access_token).get('/auth/me')).status, 200);
  for (const name of [
    'read-user',
    'read-user-page',
    'insert-users',
    'find-account',
    'open-session',
    'mail_claim',
  ])
    t.true(prepared.has(name), [...prepared.keys()].join(' '));

  const client = new pg.Client({ connectionString: context.databaseUrl });
  await client.connect();
  t.teardown(() => client.end());
  await client.query('truncate admins, registrations, confirmations, outbox cascade');
  await client.query('vacuum analyze');
  await client.query(STATEMENT_SETTINGS);
  const { rows: indexes } = await client.query<{ name: string; first: string }>(
    `select indexrelid::regclass::text as name, trim(both '()' from pg_get_indexdef(indexrelid, 1, true)) as first
       from pg_index where indrelid::regclass::text !~ '^pg_'`,
  );
  const firstColumns = new Map(indexes.map(({ name, first }) => [name, first]));
  for (const [name, text] of prepared) {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain (generic_plan) ${text}`);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    t.notRegex(plan, READS_ALL_ROWS, `${name}\n${plan}`);
    if (!DELETE_OR_END.has(name)) continue;
    for (const [, index = '', condition = ''] of plan.matchAll(INDEX_CONDITION))
      t.true(condition.includes(firstColumns.get(index) ?? index), `${name}: ${index}\n${plan}`);
  }
});
