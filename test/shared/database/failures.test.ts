import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { QueryTypes } from 'sequelize';
import {
  isDatabaseUnavailable,
  refusalOfDatabase,
  violates,
} from '../../../shared/database/failures.js';
import { withTransaction } from '../../../shared/database/transaction.js';
import type { Database, DatabaseConfig } from '../../../shared/database/connect.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

const context = useContext();
/** As in production. */
const openImpatient = (scope: Scope, url: string, config: Partial<DatabaseConfig> = {}): Database =>
  openTestDatabase(scope, url, { timeoutMs: 2_000, ...config });

/** One pool for all that needs neither a broken way to PostgreSQL nor impatience: opening a connection is dear. */
let shared: Database;
/** Another for what ends its session: the next statement may still meet it. */
let doomed: Database;
test.serial.before('open the shared pools', () => {
  shared = openTestDatabase(context, context.databaseUrl);
  doomed = openTestDatabase(context, context.databaseUrl, { poolMax: 5 });
});

const failureOf = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('it should have failed');
};

const ask = (database: Database, sql: string): Promise<unknown> =>
  database.query(sql, { type: QueryTypes.SELECT });

/** Two seconds and a bit on a machine that is not busy; without a bound nothing here would ever fail. */
const IN_TIME_MS = 30_000;

/** Resolves to the failure, or rejects when there is none in time. */
async function failureInTime(work: Promise<unknown>): Promise<unknown> {
  const over = new AbortController();
  const late = delay(IN_TIME_MS, undefined, over).then(() => {
    throw new Error(`no failure within ${IN_TIME_MS} ms`);
  });
  try {
    return await Promise.race([failureOf(work), late]);
  } finally {
    late.catch(() => undefined);
    over.abort();
  }
}

test('PostgreSQL refusing connections is "not now"', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const database = openImpatient(t, proxy.urlFor(context.databaseUrl));
  await proxy.refuse();
  t.true(isDatabaseUnavailable(await failureInTime(ask(database, 'select 1'))));
  await proxy.restore();
  await eventually(() => ask(database, 'select 1'));
});

test('a connection that was open when PostgreSQL went away is "not now", and is replaced afterwards', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const database = openImpatient(t, proxy.urlFor(context.databaseUrl));
  await eventually(() => ask(database, 'select 1'));
  const failure = failureInTime(ask(database, 'select pg_sleep(2)'));
  await eventually(async () => (await sleepers(context)) > 0);
  await proxy.refuse();
  t.true(isDatabaseUnavailable(await failure));
  await proxy.restore();
  await eventually(() => ask(database, 'select 1'));
});

for (const [what, isOpenFirst] of [
  ['a PostgreSQL that takes connections and says nothing', false],
  ['a PostgreSQL that falls silent on an open connection', true],
] as const) {
  test(`${what} is "not now", in time`, async (t) => {
    const proxy = await openTcpProxy(t, context.databaseUrl);
    const database = openImpatient(t, proxy.urlFor(context.databaseUrl));
    if (isOpenFirst) await eventually(() => ask(database, 'select 1'));
    proxy.silence();
    t.true(isDatabaseUnavailable(await failureInTime(ask(database, 'select 1'))));
    await proxy.restore();
    await eventually(() => ask(database, 'select 1'));
  });

  test(`${what} fails a transaction in time, too`, async (t) => {
    const proxy = await openTcpProxy(t, context.databaseUrl);
    const database = openImpatient(t, proxy.urlFor(context.databaseUrl));
    if (isOpenFirst) await eventually(() => ask(database, 'select 1'));
    proxy.silence();
    const work = withTransaction(database, (tx) => database.query('select 1', { transaction: tx }));
    t.true(isDatabaseUnavailable(await failureInTime(work)));
    await proxy.restore();
    await eventually(() => ask(database, 'select 1'));
  });
}

test('waiting in vain for a connection of the pool is "not now", in time', async (t) => {
  const database = openImpatient(t, context.databaseUrl, { poolMax: 1 });
  await eventually(() => ask(database, 'select 1'));
  const end = new AbortController();
  const holder = withTransaction(database, async (tx) => {
    await database.query('select 1', { transaction: tx });
    await once(end.signal, 'abort');
  });
  t.true(isDatabaseUnavailable(await failureInTime(ask(database, 'select 1'))));
  end.abort();
  await holder;
});

test('a statement that runs too long is "not now"', async (t) => {
  const database = openImpatient(t, context.databaseUrl);
  t.true(isDatabaseUnavailable(await failureInTime(ask(database, 'select pg_sleep(30)'))));
});

test.serial('a server that is too slow to set a connection up is "not now"', async (t) => {
  // Sequelize reads this catalogue first on a new connection.
  const holder = openTestDatabase(t, context.databaseUrl, { poolMax: 1 });
  const newcomer = openImpatient(t, context.databaseUrl);
  const failure = await withTransaction(holder, async (tx) => {
    await holder.query('lock table pg_catalog.pg_range', { transaction: tx });
    return failureOf(ask(newcomer, 'select 1'));
  });
  t.true(isDatabaseUnavailable(failure));
});

test('a session that the administrator ends is "not now"', async (t) => {
  t.true(
    isDatabaseUnavailable(
      await failureOf(ask(doomed, 'select pg_terminate_backend(pg_backend_pid())')),
    ),
  );
  await t.notThrowsAsync(eventually(() => ask(doomed, 'select 1')));
});

for (const [what, sqlState] of [
  ['a deadlock', '40P01'],
  ['a serialization failure', '40001'],
  ['too many connections', '53300'],
  ['a full disk', '53100'],
  ['a server without memory', '53200'],
  ['a server that is read-only', '25006'],
  ['a disk that fails', '58030'],
  ['a server without transaction ids', '54000'],
  ['a crash of another session', '57P02'],
  ['a server that shuts down', '57P01'],
  ['a server that starts up', '57P03'],
  ['a lock that is not available', '55P03'],
] as const) {
  test(`${what} (${sqlState}) is "not now"`, async (t) => {
    const raise = `do $$ begin raise exception 'as told' using errcode = '${sqlState}'; end $$`;
    t.true(isDatabaseUnavailable(await failureOf(doomed.query(raise))));
  });
}

test('a refusal by the server is described in our words, with only its code', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl, { poolMax: 1 });
  const refusalWith = async (sqlState: string) =>
    refusalOfDatabase(
      await failureOf(
        database.query(
          `do $$ begin raise exception 'secret' using errcode = '${sqlState}'; end $$`,
        ),
      ),
    );
  const refusesWrites = { kind: 'refuses_writes', problem: 'refuses writes' } as const;
  t.deepEqual(await refusalWith('25006'), refusesWrites);
  t.deepEqual(await refusalWith('53100'), refusesWrites);
  t.deepEqual(await refusalWith('54000'), refusesWrites);
  t.deepEqual(await refusalWith('57014'), {
    kind: 'refuses_statements',
    problem: 'refuses statements: 57014 (they take too long)',
  });
  t.deepEqual(await refusalWith('57P01'), { problem: 'is starting or shutting down: 57P01' });
  t.is((await refusalWith('22012'))?.problem, 'refuses statements: 22012');
  const stranger = Object.assign(new URL(context.databaseUrl), { password: 'wrong' }).href;
  const refused = await failureOf(ask(openTestDatabase(t, stranger), 'select 1'));
  t.deepEqual(refusalOfDatabase(refused), {
    kind: 'refuses_connections',
    problem: 'refuses connections: 28P01 (the user or the password is wrong)',
  });
  t.is(refusalOfDatabase(new Error('connect ECONNREFUSED 127.0.0.1:5432')), undefined);
});

for (const [what, sql, refusal] of [
  ['a write', 'insert into outbox (id) values (gen_random_uuid())', 'refuses writes'],
  ['a lock of rows', 'select id from outbox for update', 'refuses writes'],
  ['a read', 'select id from outbox', 'refuses statements: 42501 (the user lacks rights)'],
] as const) {
  test(`a right that is missing, for ${what}: it ${refusal}`, async (t) => {
    const role = `lacks_${randomUUID().replaceAll('-', '')}`;
    const failure = await failureOf(
      withTransaction(shared, async (tx) => {
        for (const statement of [`create role ${role}`, `set local role ${role}`, sql])
          await shared.query(statement, { transaction: tx });
      }),
    );
    t.is(refusalOfDatabase(failure)?.problem, refusal);
    t.is(isDatabaseUnavailable(failure), refusal === 'refuses writes');
  });
}

test('a prepared statement that lacks a right fails in the same way', async (t) => {
  const role = `lacks_${randomUUID().replaceAll('-', '')}`;
  const { statements } = openTestDatabase(t, context.databaseUrl, { poolMax: 1 });
  for (const text of [`create role ${role}`, `set role ${role}`])
    await statements.run({ name: '', text }, []);
  for (const [text, refusal] of [
    ['select id from outbox', 'refuses statements: 42501 (the user lacks rights)'],
    ['select id from outbox for update', 'refuses writes'],
  ] as const) {
    const failure = await failureOf(statements.run({ name: text, text }, []));
    t.is(refusalOfDatabase(failure)?.problem, refusal);
    t.is(isDatabaseUnavailable(failure), refusal === 'refuses writes');
  }
});

test('a session ends for a read-only server, and not for a right that is missing', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl, { poolMax: 1 });
  const session = async (): Promise<unknown> => {
    const [row] = await database.query<{ pid: number }>('select pg_backend_pid() as pid', {
      type: QueryTypes.SELECT,
    });
    return row?.pid;
  };
  const refuse = (sqlState: string): Promise<unknown> =>
    failureOf(
      database.query(`do $$ begin raise exception 'x' using errcode = '${sqlState}'; end $$`),
    );
  const first = await session();
  await refuse('42501');
  t.is(await session(), first);
  t.true(database.hasRefusedWrite);
  await refuse('25006');
  t.not(await session(), first);
});

test('an internal error is "not now" only when it ends the connection, as a pooler’s does', (t) => {
  const errorWith = (severity: string): Error =>
    Object.assign(new Error('DbHandler exited'), { code: 'XX000', severity });
  t.true(isDatabaseUnavailable(errorWith('FATAL')));
  t.false(isDatabaseUnavailable(errorWith('ERROR')));
});

for (const [what, sql] of [
  ['a syntax error', 'selec 1'],
  ['a missing table', 'select * from nowhere'],
  ['a value out of range', "select '99999999999'::int"],
  [
    'a violated check',
    "insert into outbox (id, name, payload, trace_id, state) values (gen_random_uuid(), 'x', '{}', 't', 'odd')",
  ],
  [
    'a message that only quotes a network error',
    "do $$ begin raise exception 'ECONNREFUSED'; end $$",
  ],
] as const) {
  test(`${what} is wrong, not "not now"`, async (t) => {
    t.false(isDatabaseUnavailable(await failureOf(shared.query(sql))));
  });
}

test('a unique violation is recognized by the name of its constraint or index', async (t) => {
  const insert = (email: string, name: string): Promise<unknown> =>
    shared.query(
      `insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at)
        values ($email, $email, $name, $name, 'x', now())`,
      { bind: { email, name } },
    );
  await insert('a@x.test', 'a');
  const byEmail = await failureOf(insert('a@x.test', 'b'));
  const byName = await failureOf(insert('b@x.test', 'a'));
  t.deepEqual(
    [violates(byEmail, 'admins_email_key'), violates(byEmail, 'admins_name_key')],
    [true, false],
  );
  t.deepEqual(
    [violates(byName, 'admins_email_key'), violates(byName, 'admins_name_key')],
    [false, true],
  );
  t.false(isDatabaseUnavailable(byEmail));
});

test('anything else is neither', (t) => {
  for (const thrown of [
    new Error('a bug'),
    new TypeError('undefined is not a function'),
    'text',
    null,
    undefined,
    {},
  ]) {
    t.false(isDatabaseUnavailable(thrown));
    t.false(violates(thrown, 'admins_email_key'));
  }
});

async function sleepers({ rows }: Pick<typeof context, 'rows'>): Promise<number> {
  const found = await rows<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity
      where datname = current_database() and query = 'select pg_sleep(2)' and state = 'active'`,
  );
  return found[0]?.n ?? 0;
}
