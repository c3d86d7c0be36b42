import test from 'ava';
import type { Check } from '../../../shared/health/checks.js';
import {
  commonChecks,
  readiness,
  Readiness,
  shareResults,
} from '../../../shared/health/readiness.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

shareProcess();

const readinessOf = (checks: Record<string, Check>, isStopping = false) =>
  readiness(checks, () => isStopping);

test('ready when every check is', async (t) => {
  const report = await readinessOf({
    one: async () => ({ ok: true }),
    two: async () => ({ ok: true, lag: 3 }),
  });
  t.deepEqual(report, {
    status: 'ready',
    checks: { one: { ok: true }, two: { ok: true, lag: 3 } },
  });
});

test('one check that is not makes the whole not ready, and the report says which and why', async (t) => {
  const report = await readinessOf({
    one: async () => ({ ok: true }),
    two: async () => ({ ok: false, problem: 'too late' }),
  });
  t.deepEqual(report, {
    status: 'not_ready',
    checks: { one: { ok: true }, two: { ok: false, problem: 'too late' } },
  });
});

test('a check that throws is not ready, without a word of what it threw', async (t) => {
  const report = await readinessOf({
    cache: async () => {
      throw new Error('connect ECONNREFUSED 10.0.0.1:6379');
    },
  });
  t.deepEqual(report.checks, { cache: { ok: false, problem: 'cache cannot be reached' } });
});

test('a check that never ends does not keep the report', async (t) => {
  const report = await readinessOf({
    quick: async () => ({ ok: true }),
    stuck: () => new Promise(() => undefined),
  });
  t.deepEqual(report.checks['stuck'], { ok: false, problem: 'stuck did not answer in time' });
  t.true(report.checks['quick']?.ok);
});

test('who looks regularly shares what a check found, until it is too old', async (t) => {
  let made = 0;
  const count: Check = async () => ({ ok: true, made: (made += 1) });
  const shared = shareResults({ count }, 60_000);
  t.deepEqual(await Promise.all([shared['count']?.(), shared['count']?.()]), [
    { ok: true, made: 1 },
    { ok: true, made: 1 },
  ]);
  const always = shareResults({ count }, 0);
  await always['count']?.();
  t.deepEqual(await always['count']?.(), { ok: true, made: 3 });
});

test('a process that has begun to stop is not ready, whatever the checks say', async (t) => {
  const report = await readinessOf({ one: async () => ({ ok: true }) }, true);
  t.deepEqual(report, { status: 'not_ready', checks: { one: { ok: true } } });
});

test('a report is what its schema says', async (t) => {
  const report = await readinessOf({ one: async () => ({ ok: true, pending: 2 }) });
  t.deepEqual(Readiness.parse(report), report);
});

const context = useContext();
const ago = (minutes: number): string => `now() - interval '${minutes} minutes'`;

// They all look at the one outbox.
test.serial.afterEach.always(() => context.rows('delete from outbox'));

test.serial('with nothing promised, nothing lags', async (t) => {
  const { ask } = await setUp(t);
  t.deepEqual((await ask()).checks['outbox'], {
    ok: true,
    pending: 0,
    oldest_pending_seconds: 0,
    oldest_untried_seconds: 0,
    oldest_open_seconds: 0,
  });
});

test.serial('the age of a pending message counts from when it was due', async (t) => {
  const { ask } = await setUp(t);
  await insert({ state: 'pending', available_at: ago(1), created_at: ago(90) });
  const outbox = (await ask()).checks['outbox'];
  t.like(outbox, { ok: true, pending: 1 });
  t.true(isAbout(outbox?.['oldest_pending_seconds'], 60));
  t.true(isAbout(outbox?.['oldest_open_seconds'], 5_400));
});

test.serial(
  'messages on the queue that nobody has tried: red after five minutes, looked after or not',
  async (t) => {
    const { ask } = await setUp(t);
    const enqueued = { state: 'enqueued', created_at: ago(9), checked_at: 'now()' };
    await insert({ ...enqueued, enqueued_at: ago(4) });
    const early = (await ask()).checks['outbox'];
    t.true(early?.ok);
    t.true(isAbout(early?.['oldest_untried_seconds'], 240));

    await insert({ ...enqueued, enqueued_at: ago(6) });
    const { status, checks } = await ask();
    t.is(status, 'not_ready');
    t.like(checks['outbox'], { ok: false, problem: 'enqueued messages are not being processed' });
    t.true(isAbout(checks['outbox']?.['oldest_untried_seconds'], 360));
  },
);

test.serial('messages that are tried again and again are told, not complained of', async (t) => {
  const { ask } = await setUp(t);
  const old = { created_at: ago(600), enqueued_at: ago(600) };
  await insert({ ...old, state: 'enqueued', attempts: '7' });
  await insert({ ...old, state: 'settled' });
  await insert({ ...old, state: 'dead' });
  const outbox = (await ask()).checks['outbox'];
  t.like(outbox, { ok: true, pending: 0, oldest_untried_seconds: 0 });
  t.true(isAbout(outbox?.['oldest_open_seconds'], 36_000));
});

test.serial('an outage is logged once, with its reason, and so is its end', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { ask, lines } = await setUp(t, { databaseUrl: proxy.urlFor(context.databaseUrl) });
  const told = () => lines.filter((line) => line['labels.check'] === 'postgres');
  await ask();
  t.deepEqual(told(), []);

  await proxy.refuse();
  for (let i = 0; i < 3; i++) t.is((await ask()).status, 'not_ready');
  t.is(told().length, 1);
  t.like(told()[0], { level: 40, msg: 'readiness check failed' });
  t.regex(JSON.stringify(told()[0]), /ECONNREFUSED|terminated/);
  t.notRegex(JSON.stringify(await ask()), /127\.0\.0\.1|terminated/);

  await proxy.restore();
  await eventually(async () => (await ask()).status === 'ready');
  t.deepEqual(
    told().map(({ msg }) => msg),
    ['readiness check failed', 'readiness check recovered'],
  );
});

test.serial('what a check complains of is logged as well', async (t) => {
  const { ask, lines } = await setUp(t);
  await insert({ state: 'pending', available_at: ago(3) });
  await ask();
  await ask();
  t.is(lines.length, 1);
  t.like(lines[0], {
    'labels.check': 'outbox',
    'event.reason': 'pending messages are not relayed',
  });
});

test.serial('a Redis of the logs’ own is checked too; otherwise there is one check', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const apart = await setUp(t, { logsUrl: proxy.urlFor(context.redisUrl) });
  t.like((await apart.ask()).checks, { redis: { ok: true }, redis_logs: { ok: true } });
  await proxy.refuse();
  const { checks } = await apart.ask();
  t.like(checks, { redis: { ok: true }, redis_logs: { ok: false } });
  t.regex(checks['redis_logs']?.problem ?? '', /^redis_logs cannot be reached/);
  const shared = await setUp(t);
  t.false('redis_logs' in (await shared.ask()).checks);
});

for (const [what, sqlState] of [
  ['disk', '53100'],
  ['transaction ids', '54000'],
  ['a right', '42501'],
] as const) {
  test.serial(
    `a server that reads and does not write, for want of ${what}: red from the first write that it refuses until it writes`,
    async (t) => {
      const { ask, database } = await setUp(t);
      await context.rows(`create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'as told' using errcode = '${sqlState}'; end $$`);
      await context.rows(
        'create trigger refuse before insert on metric_minutes for each row execute function refuse()',
      );
      t.is((await ask()).status, 'ready', 'nobody has written');
      await t.throwsAsync(database.query(`insert into metric_minutes values ('x', now(), 0)`));
      for (let looks = 0; looks < 2; looks++)
        t.deepEqual((await ask()).checks['postgres'], {
          ok: false,
          problem: 'postgres refuses writes',
        });
      await context.rows('drop function refuse cascade');
      t.is((await ask()).status, 'ready');
      t.false(database.hasRefusedWrite);
    },
  );
}

test.serial(
  'a full disk is red as long as no table can grow, though a row still fits into one',
  async (t) => {
    const { ask, database } = await setUp(t);
    await eventually(async () => (await ask()).status === 'ready');
    await context.rows(`create function refuse() returns event_trigger language plpgsql as
      $$ begin raise exception 'as told' using errcode = 'disk_full'; end $$`);
    await context.rows(`create event trigger refuse on ddl_command_start
      when tag in ('CREATE TABLE AS') execute function refuse()`);
    await t.throwsAsync(database.query('create temporary table other as select 1'));
    for (let looks = 0; looks < 2; looks++)
      t.is((await ask()).checks['postgres']?.problem, 'postgres refuses writes');
    await context.rows('drop function refuse cascade');
    t.is((await ask()).status, 'ready');
    t.false(database.hasRefusedWrite);
  },
);

test.serial(
  'a server that was reached and refuses the connection is not told as out of reach',
  async (t) => {
    const stranger = Object.assign(new URL(context.databaseUrl), { password: 'wrong' }).href;
    const { ask, lines } = await setUp(t, { databaseUrl: stranger });
    t.is(
      (await ask()).checks['postgres']?.problem,
      'postgres refuses connections: 28P01 (the user or the password is wrong)',
    );
    t.regex(JSON.stringify(lines), /password authentication failed/);
  },
);

test.serial('what is out of reach is told with the code of the error alone', async (t) => {
  const postgres = await openTcpProxy(t, context.databaseUrl);
  const redis = await openTcpProxy(t, context.redisUrl);
  const { ask } = await setUp(t, {
    databaseUrl: postgres.urlFor(context.databaseUrl),
    logsUrl: redis.urlFor(context.redisUrl),
  });
  await Promise.all([postgres.refuse(), redis.refuse()]);
  for (const name of ['postgres', 'redis_logs'])
    await eventually(async () => {
      const { checks } = await ask();
      return checks[name]?.problem === `${name} cannot be reached (ECONNREFUSED)`;
    });
  t.false((await ask()).checks['postgres']?.ok);
});

test('PostgreSQL counts as there only with connections of both kinds', async (t) => {
  const { ask, database } = await setUp(t);
  // On a busy machine the first connection may take longer than a check.
  await eventually(async () => (await ask()).checks['postgres']?.ok);
  await database.statements.close();
  t.deepEqual((await ask()).checks['postgres'], {
    ok: false,
    problem: 'postgres cannot be reached',
  });
});

async function setUp(
  scope: Scope,
  { databaseUrl = context.databaseUrl, logsUrl = context.redisUrl } = {},
) {
  const { log, lines } = createRecordingLogger();
  const database = openTestDatabase(scope, databaseUrl);
  const queues = openQueues({ url: context.redisUrl, logsUrl }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  await eventually(() => queues.ping('logs').then(() => true));
  const checks = commonChecks(database, queues, log);
  return { ask: () => readiness(checks, () => false), lines, database };
}

/** Inserts a message; the values are SQL. */
async function insert({ state, ...columns }: Record<string, string>): Promise<void> {
  const names = Object.keys(columns);
  await context.rows(
    `insert into outbox (id, name, payload, trace_id, state, ${names.join(', ')})
     values (gen_random_uuid(), 'x', '{}', 'x', $1, ${Object.values(columns).join(', ')})`,
    [state],
  );
}

const isAbout = (seconds: unknown, expected: number): boolean =>
  typeof seconds === 'number' && seconds >= expected && seconds < expected + 30;
