import test from 'ava';
import { isDatabaseUnavailable } from '../../../shared/database/failures.js';
import type { Statement } from '../../../shared/database/statements.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

shareProcess();
const context = useContext();

const BACKEND: Statement = { name: 'backend', text: 'select pg_backend_pid() as pid' };
const PREPARED: Statement = {
  name: 'prepared',
  text: 'select name, generic_plans + custom_plans as runs from pg_prepared_statements order by name',
};
const SETTINGS: Statement = {
  name: 'settings',
  text: `select name, setting from pg_settings
          where name in ('enable_seqscan', 'enable_bitmapscan', 'enable_sort', 'enable_incremental_sort', 'plan_cache_mode')
          order by name`,
};
const QUOTIENT: Statement = { name: 'quotient', text: 'select 6 / $1::int as quotient' };

test('a statement is prepared once per connection', async (t) => {
  const { statements } = openTestDatabase(t, context.databaseUrl, { poolMax: 1 });
  t.deepEqual(await statements.run(QUOTIENT, [2]), [{ quotient: 3 }]);
  t.deepEqual(await statements.run(QUOTIENT, [3]), [{ quotient: 2 }]);
  const prepared = await statements.run<{ name: string; runs: string }>(PREPARED, []);
  t.is(prepared.find(({ name }) => name === 'quotient')?.runs, '2');
});

test('plans use indexes, whatever the planner knows of the tables, and are made once', async (t) => {
  const { statements } = openTestDatabase(t, context.databaseUrl);
  const settings = await statements.run<{ name: string; setting: string }>(SETTINGS, []);
  t.deepEqual(
    settings.map(({ setting }) => setting),
    ['off', 'off', 'off', 'off', 'force_generic_plan'],
  );
});

test('an error that the server reports leaves the connection in use', async (t) => {
  const { statements } = openTestDatabase(t, context.databaseUrl, { poolMax: 1 });
  const before = await statements.run(BACKEND, []);
  await t.throwsAsync(statements.run(QUOTIENT, [0]), { message: /division by zero/ });
  t.deepEqual(await statements.run(BACKEND, []), before);
});

// Serial: beside others it would have less time to answer before than the two seconds.
test.serial('a connection whose statement timed out is replaced and not used again', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { statements } = openTestDatabase(t, proxy.urlFor(context.databaseUrl), {
    timeoutMs: 2_000,
    poolMax: 1,
  });
  const [first] = await statements.run<{ pid: number }>(BACKEND, []);
  proxy.silenceAnswers();
  const failure = await t.throwsAsync(statements.run(BACKEND, []), { message: /timeout/ });
  t.true(isDatabaseUnavailable(failure));
  await proxy.restore();
  const [second] = await statements.run<{ pid: number }>(BACKEND, []);
  t.not(second?.pid, first?.pid);
  await eventually(async () => {
    const rows = await context.rows('select from pg_stat_activity where pid = $1', [first?.pid]);
    return rows.length === 0;
  });
});

test('a connection that the server closed while it was idle is replaced', async (t) => {
  const { statements } = openTestDatabase(t, context.databaseUrl, { poolMax: 1 });
  const [first] = await statements.run<{ pid: number }>(BACKEND, []);
  await context.rows('select pg_terminate_backend($1)', [first?.pid]);
  const second = await eventually(() =>
    statements.run<{ pid: number }>(BACKEND, []).catch(() => undefined),
  );
  t.not(second[0]?.pid, first?.pid);
});
