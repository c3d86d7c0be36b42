import test from 'ava';
import { QueryTypes } from 'sequelize';
import type { Database, DatabaseConfig } from '../../../shared/database/connect.js';
import { isDatabaseUnavailable } from '../../../shared/database/failures.js';
import { withTransaction } from '../../../shared/database/transaction.js';
import { checkWrites } from '../../../shared/database/write-probe.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

const context = useContext();
/** As in production. */
const openImpatient = (scope: Scope, url: string, config: Partial<DatabaseConfig> = {}): Database =>
  openTestDatabase(scope, url, { timeoutMs: 2_000, ...config });
test.serial.before('a table of the tests', () =>
  context.rows('create table marks (mark text primary key)'),
);

// As PostgreSQL writes them (protocol 3.0, "Message Formats").
const readyForQuery = Buffer.from('Z\0\0\0\x05I');
const shuttingDown = ((): Buffer => {
  const fields = 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0';
  const length = Buffer.alloc(4);
  length.writeUInt32BE(length.length + fields.length);
  return Buffer.concat([Buffer.from('E'), length, Buffer.from(fields)]);
})();

const backend = async (database: Database): Promise<number> => {
  const [row] = await database.query<{ pid: number }>('select pg_backend_pid() as pid', {
    type: QueryTypes.SELECT,
  });
  return row?.pid ?? 0;
};

test('a connection whose query timed out is replaced and not used again', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const database = openImpatient(t, proxy.urlFor(context.databaseUrl), { poolMax: 1 });
  const first = await backend(database);
  proxy.silenceAnswers();
  await t.throwsAsync(database.query('select 1'), { message: /timeout/ });
  await proxy.restore();
  t.not(await backend(database), first);
  await eventually(async () => {
    const rows = await context.rows('select 1 from pg_stat_activity where pid = $1', [first]);
    return rows.length === 0;
  });
});

test('after a query of a transaction timed out the transaction fails at once and leaves nothing behind', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const database = openImpatient(t, proxy.urlFor(context.databaseUrl), { poolMax: 1 });
  const failure = await t.throwsAsync(
    withTransaction(database, async (tx) => {
      await database.query(`insert into marks values ('half')`, { transaction: tx });
      proxy.silenceAnswers();
      await database.query('select 1', { transaction: tx });
    }),
  );
  t.true(isDatabaseUnavailable(failure));
  // The row's lock is gone, or this would wait for it in vain.
  await proxy.restore();
  await database.query(`insert into marks values ('half')`);
  t.pass();
});

test('what else is asked of a connection that was given up is "not now" too', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const database = openImpatient(t, proxy.urlFor(context.databaseUrl), { poolMax: 1 });
  const failures: unknown[] = [];
  await t.throwsAsync(
    withTransaction(database, async (tx) => {
      await database.query('select 1', { transaction: tx });
      proxy.silenceAnswers();
      for (let i = 0; i < 2; i++) {
        await database
          .query('select 1', { transaction: tx })
          .catch((error: unknown) => failures.push(error));
      }
      throw new Error('enough');
    }),
    { message: 'enough' },
  );
  t.deepEqual(failures.map(isDatabaseUnavailable), [true, true]);
});

test('a statement that the server gives up costs no connection', async (t) => {
  const database = openImpatient(t, context.databaseUrl, { poolMax: 1 });
  const first = await backend(database);
  await t.throwsAsync(database.query('select pg_sleep(30)'), { message: /statement timeout/ });
  t.is(await backend(database), first);
});

test.serial('a connection that could not be set up does not stay open', async (t) => {
  const holder = openImpatient(t, context.databaseUrl);
  const newcomer = openImpatient(t, context.databaseUrl);
  await withTransaction(holder, async (tx) => {
    // Sequelize reads this catalogue first on a new connection.
    await holder.query('lock table pg_catalog.pg_range', { transaction: tx });
    await t.throwsAsync(newcomer.query('select 1'));
  });
  const leftOver = () =>
    context.rows(
      `select from pg_stat_activity where datname = current_database() and query like 'WITH ranges%' and state = 'idle'`,
    );
  await eventually(async () => (await leftOver()).length > 0);
  await eventually(async () => (await leftOver()).length === 0);
  t.pass();
});

test('a server that goes away in the very moment in which it takes a connection is a failed query, not a crash', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const database = openImpatient(t, proxy.urlFor(context.databaseUrl), { poolMax: 1 });
  proxy.addAfter(readyForQuery, shuttingDown);
  const failure = await t.throwsAsync(backend(database));
  t.true(isDatabaseUnavailable(failure));
  t.true((await backend(database)) > 0);
});

test('closing waits for no server', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const database = openImpatient(t, proxy.urlFor(context.databaseUrl), { poolMax: 1 });
  await backend(database);
  proxy.silence();
  await t.notThrowsAsync(database.close());
});

/** Like a session whose server became a standby in a failover. */
const demote = (database: Database): Promise<unknown> =>
  database.query('set session characteristics as transaction read only');

for (const [how, write] of [
  ['by itself', (database: Database) => database.query(`insert into marks values ('alone')`)],
  [
    'in a transaction',
    (database: Database) =>
      withTransaction(database, (tx) =>
        database.query(`insert into marks values ('together')`, { transaction: tx }),
      ),
  ],
] as const) {
  test(`a session that refuses a write (${how}) is not used again, and another finds a server that takes it`, async (t) => {
    const database = openImpatient(t, context.databaseUrl, { poolMax: 1 });
    const first = await backend(database);
    await demote(database);
    t.true(isDatabaseUnavailable(await t.throwsAsync(write(database), { message: /read-only/ })));
    t.not(await backend(database), first);
    await t.notThrowsAsync(write(database));
  });
}

test('the write check closes a session that cannot write', async (t) => {
  const database = openImpatient(t, context.databaseUrl, { poolMax: 1 });
  await t.notThrowsAsync(checkWrites(database));
  await demote(database);
  await t.throwsAsync(checkWrites(database), { message: /read-only/ });
  await t.notThrowsAsync(checkWrites(database));
  t.deepEqual(await context.rows('select from outbox'), [], 'nothing stays of it');
});
