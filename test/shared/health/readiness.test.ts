import test from 'ava';
import { commonChecks, readiness, Readiness } from '../../../shared/health/readiness.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { useContext } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';

const context = useContext();

test('ready when every check is', async (t) => {
  const report = await readiness({
    one: async () => ({ ok: true }),
    two: async () => ({ ok: true, lag: 3 }),
  });
  t.deepEqual(report, {
    status: 'ready',
    checks: { one: { ok: true }, two: { ok: true, lag: 3 } },
  });
});

test('one check that is not makes the whole not ready, and the report says which and why', async (t) => {
  const report = await readiness({
    one: async () => ({ ok: true }),
    two: async () => ({ ok: false, problem: 'too late' }),
  });
  t.deepEqual(report, {
    status: 'not_ready',
    checks: { one: { ok: true }, two: { ok: false, problem: 'too late' } },
  });
});

test('a check that throws is not ready, without a word of what it threw', async (t) => {
  const report = await readiness({
    cache: async () => {
      throw new Error('connect ECONNREFUSED 10.0.0.1:6379');
    },
  });
  t.deepEqual(report.checks, { cache: { ok: false, problem: 'cache cannot be reached' } });
});

test('a check that never ends does not keep the report', async (t) => {
  const report = await readiness({
    quick: async () => ({ ok: true }),
    stuck: () => new Promise(() => undefined),
  });
  t.deepEqual(report.checks['stuck'], { ok: false, problem: 'stuck did not answer in time' });
  t.true(report.checks['quick']?.ok);
});

test('a report is what its schema says', async (t) => {
  const report = await readiness({ one: async () => ({ ok: true, pending: 2 }) });
  t.deepEqual(Readiness.parse(report), report);
});

test('messages that nobody relays make the service unready, and the report tells how many and how old', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const queues = openQueues(
    { url: context.redisUrl, logsUrl: context.redisUrl },
    createRecordingLogger().log,
  );
  t.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  const look = async () => (await readiness(commonChecks(database, queues))).checks['outbox'];
  t.deepEqual(await look(), { ok: true, pending: 0, oldest_pending_seconds: 0 });

  await context.rows(
    `insert into outbox (id, name, payload, trace_id, available_at)
      select gen_random_uuid(), 'x', '{}', 't', now() - interval '10 seconds' from generate_series(1, 3)`,
  );
  t.true((await look())?.ok);
  await context.rows(`update outbox set available_at = now() - interval '5 minutes'`);
  const late = await look();
  t.deepEqual(
    [late?.ok, late?.['pending'], late?.problem],
    [false, 3, 'pending messages are not relayed'],
  );
  t.true(Number(late?.['oldest_pending_seconds']) >= 300);
  await context.rows(`update outbox set available_at = now() + interval '1 hour'`);
  t.true((await look())?.ok, 'mail for later is not late');
});
