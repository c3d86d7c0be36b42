import test from 'ava';
import type { Check } from '../../../shared/health/checks.js';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { readMinutes } from '../../../shared/metrics/read-minutes.js';
import { createPresence, type PresenceDeps } from '../../../shared/presence/presence.js';
import {
  readDeployMarks,
  readProcesses,
  type ProcessPresence,
} from '../../../shared/presence/read-processes.js';
import { workerRoles } from '../../../shared/queues/registry.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { startWorker } from '../../helpers/processes.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

shareProcess();

const context = useContext();
const END = { reason: 'SIGTERM', exitCode: 0 };
const OFTEN = { factsEveryMs: 20, checkEveryMs: 20, untilNextMinute: () => 50 };
const NEVER = { ...OFTEN, untilNextMinute: () => 3_600_000 };

test.serial.beforeEach(() => context.rows('truncate processes, metric_minutes'));

function setUp(
  scope: Scope,
  {
    url = context.databaseUrl,
    settings = NEVER,
    timeoutMs = 2_000,
    ...deps
  }: Partial<PresenceDeps> & { url?: string; settings?: typeof OFTEN; timeoutMs?: number } = {},
) {
  const database = openTestDatabase(scope, url, { timeoutMs });
  const metrics = createMetrics('worker');
  const logger = createRecordingLogger();
  const presence = createPresence(
    {
      database,
      metrics,
      log: logger.log,
      service: 'rollcall-worker',
      roles: ['mail', 'relay'],
      checks: {},
      ...deps,
    },
    settings,
  );
  scope.teardown(() => presence.stop(END));
  presence.start();
  return { database, metrics, logger, presence };
}

test.serial(
  'a process shows that it lives, what it is and what it sees, and that it stops',
  async (t) => {
    // Its last character is cut in half.
    const long = `${'x'.repeat(299)}\u{1f469}`;
    const answers: Record<string, Awaited<ReturnType<Check>>> = {
      smtp: { ok: false, problem: '535 for someone@example.org' },
      redis_refuses: { ok: false, problem: long, kind: 'out_of_memory' },
      postgres: { ok: true, pending: 3 },
    };
    const check =
      (name: string): Check =>
      async () =>
        answers[name] ?? { ok: true };
    const { database, presence } = setUp(t, {
      checks: { postgres: check('postgres') },
      facts: { smtp: check('smtp'), redis_refuses: check('redis_refuses') },
    });
    const own = async (): Promise<ProcessPresence | undefined> =>
      (await readProcesses(database)).live[0];
    const first = await eventually(own);
    t.like(first, {
      service: 'rollcall-worker',
      roles: ['mail', 'relay'],
      pid: process.pid,
      stoppedAt: null,
      health: { postgres: { ok: true }, smtp: { ok: false, problem: '535 for [address]' } },
    });
    t.true(first.memoryBytes > 1_000_000);
    t.regex(first.health['smtp']?.since ?? '', /^\d{4}-.+Z$/);
    t.false('kind' in (first.health['smtp'] ?? {}));
    t.like(first.health['redis_refuses'], {
      kind: 'out_of_memory',
      problem: `${'x'.repeat(299)}\ufffd`,
    });

    answers['smtp'] = { ok: true };
    answers['redis_refuses'] = { ok: true };
    await eventually(async () => (await own())?.health['smtp']?.ok);
    t.deepEqual((await own())?.health, {
      postgres: { ok: true },
      smtp: { ok: true },
      redis_refuses: { ok: true },
      clock: { ok: true },
    });

    await presence.stopping({
      reason: 'uncaughtException',
      exitCode: 1,
      error: new TypeError('no a@b.test'),
    });
    t.like(await own(), {
      stopReason: 'uncaughtException: TypeError: no [address]',
      stoppedAt: null,
    });
    await presence.stop(END);
    const { live, stopped } = await readProcesses(database);
    t.deepEqual(live, []);
    t.like(stopped, [{ exitCode: 1, stopReason: 'uncaughtException: TypeError: no [address]' }]);
    t.truthy(stopped[0]?.stoppedAt);
  },
);

test.serial(
  'a process whose clock is wrong says so soon after its start, and until it is right',
  async (t) => {
    const right = Date.now;
    t.teardown(() => (Date.now = right));
    const setClock = (aheadMs: number): void => void (Date.now = () => right() + aheadMs);
    setClock(1_200_000);
    const { database, logger, presence } = setUp(t);
    const isSaid = (problem?: string) => async (): Promise<boolean | undefined> => {
      const clock = (await readProcesses(database)).live[0]?.health['clock'];
      return clock && clock.ok === (problem === undefined) && clock.problem === problem;
    };
    await eventually(isSaid('20 min ahead of PostgreSQL'));
    t.like(logger.lines, [
      { msg: 'clock skew detected', 'event.reason': '20 min ahead of PostgreSQL' },
    ]);
    await presence.stop(END);
    const minutely = setUp(t, { settings: OFTEN });
    await eventually(isSaid('20 min ahead of PostgreSQL'));
    setClock(-60_000);
    await eventually(isSaid('60 s behind PostgreSQL'));
    t.deepEqual(minutely.logger.messages(), ['clock skew detected'], 'not every minute');
    setClock(-1_500);
    await eventually(isSaid());
  },
);

test.serial(
  'what has not been seen for two minutes and a half and did not stop is lost',
  async (t) => {
    const database = openTestDatabase(t, context.databaseUrl);
    await context.rows(
      `insert into processes (id, service, host, pid, version, started_at, seen_at, stopped_at)
     select gen_random_uuid(), 'rollcall-api', 'h', pid, version, now() - started, now() - seen, stopped
       from (values (1, '0.9', interval '3 days', interval '2 minutes', null::timestamptz),
                    (2, '1.0', interval '2 hours', interval '151 seconds', null),
                    (3, '1.0', interval '1 hour', interval '10 minutes', now()),
                    (4, '0.9', interval '4 days', interval '3 days', null)) as v (pid, version, started, seen, stopped)`,
    );
    const { live, lost, stopped } = await readProcesses(database);
    const pids = (those: readonly ProcessPresence[]) => those.map(({ pid }) => pid);
    t.deepEqual([live, lost, stopped].map(pids), [[1], [2], [3]]);
    const marks = await readDeployMarks(database, 86_400);
    t.deepEqual(
      marks.map(({ version }) => version),
      ['1.0'],
      '0.9 ran before',
    );
  },
);

test.serial(
  'a version that comes back is a mark, one that only starts again is none',
  async (t) => {
    const database = openTestDatabase(t, context.databaseUrl);
    await context.rows(
      `insert into processes (id, service, host, pid, version, started_at)
     select gen_random_uuid(), service, 'h', 1, version, now() - started
       from (values ('rollcall-api', '0.1.0+aaaaaaa', interval '3 days'),
                    ('rollcall-api', '0.1.0+bbbbbbb', interval '3 hours'),
                    ('rollcall-api', '0.1.0+bbbbbbb', interval '2 hours'),
                    ('rollcall-worker', '0.1.0+ccccccc', interval '90 minutes'),
                    ('rollcall-api', '0.1.0+aaaaaaa', interval '1 hour')) as v (service, version, started)`,
    );
    const marks = await readDeployMarks(database, 86_400);
    t.deepEqual(
      marks.map(({ version }) => version),
      ['0.1.0+bbbbbbb', '0.1.0+ccccccc', '0.1.0+aaaaaaa'],
    );
  },
);

test.serial(
  'counts of two processes are added up minute by minute, and the greatest reading is kept',
  async (t) => {
    const processes = [setUp(t, { settings: OFTEN }), setUp(t, { settings: OFTEN })];
    for (const [i, { metrics }] of processes.entries()) {
      metrics.collect(['rollcall_outbox_oldest_seconds'], () => ({
        rollcall_outbox_oldest_seconds: [{ labels: { state: 'pending' }, value: 7 + i }],
      }));
      metrics.count('rollcall_mail_outcomes_total', { outcome: 'sent' });
      metrics.observe('rollcall_mail_delay_seconds', 0.3);
      metrics.add('rollcall_relayed_messages_total', 5);
    }
    const database = openTestDatabase(t, context.databaseUrl);
    const names = [
      'mail_outcomes{outcome="sent"}',
      'relayed_messages',
      'outbox_oldest_seconds{state="pending"}',
      'mail_delay_bucket{le="0.5"}',
    ];
    const total = async (name: string): Promise<number> => {
      const [row] = await context.rows<{ sum: number | null }>(
        'select sum(value) from metric_minutes where name = $1',
        [name],
      );
      return row?.sum ?? 0;
    };
    await eventually(async () => (await total('relayed_messages')) === 10);
    for (const { metrics } of processes) metrics.add('rollcall_relayed_messages_total', 1);
    for (const { presence } of processes) await presence.stop(END);
    t.is(await total('relayed_messages'), 12, 'the last counts are written at the stop');
    t.is(await total('mail_outcomes{outcome="dead"}'), 0, 'no row where nothing was counted');

    await context.rows(`update metric_minutes set minute = minute - interval '3 minutes'`);
    for (const window of ['hour', 'day'] as const) {
      await context.rows(
        `update metric_minutes set minute = minute - interval '16 minutes' where $1 = 'day'`,
        [window],
      );
      const history = await readMinutes(database, window, names);
      t.is(history.sum('mail_outcomes{outcome="sent"}'), 2, window);
      t.is(history.sum('relayed_messages'), 12);
      t.is(history.latest('outbox_oldest_seconds{state="pending"}'), 8);
      t.is(history.times.length, { hour: 60, day: 96 }[window]);
      t.is(history.counts('relayed_messages').length, history.times.length);
      t.is(history.sum('mail_delay_bucket{le="0.5"}'), 2);
    }
  },
);

test.serial(
  'without PostgreSQL it logs once, keeps its counts, and writes them when it is back',
  async (t) => {
    const proxy = await openTcpProxy(t, context.databaseUrl);
    const { metrics, logger, presence } = setUp(t, {
      url: proxy.urlFor(context.databaseUrl),
      settings: OFTEN,
      timeoutMs: 10_000,
    });
    await eventually(async () => (await context.rows('select from processes')).length === 1);
    await proxy.refuse();
    metrics.count('rollcall_mail_outcomes_total', { outcome: 'sent' });
    await eventually(() => logger.messages().includes('presence not recorded'));
    const failures = async (): Promise<number> =>
      (await metrics.read()).find(({ name }) => name === 'rollcall_presence_write_failures_total')
        ?.series[0]?.value ?? 0;
    await eventually(async () => (await failures()) >= 3);
    t.is(logger.messages().filter((message) => message === 'presence not recorded').length, 1);
    await proxy.restore();
    await eventually(() => logger.messages().includes('presence recorded again'));
    await eventually(async () => {
      const rows = await context.rows<{ value: number }>(
        `select value from metric_minutes where name = 'mail_outcomes{outcome="sent"}'`,
      );
      return rows.length === 1 && rows[0]?.value === 1;
    });
    await presence.stop(END);
  },
);

test.serial('a worker that is killed is lost; one that is asked to stop says so', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const [killed, asked] = await Promise.all([
    startWorker(context, { scope: t }),
    startWorker(context, { scope: t }),
  ]);
  await eventually(async () => (await readProcesses(database)).live.length === 2);
  await killed.kill();
  await asked.stop();
  await context.rows(`update processes set seen_at = seen_at - interval '3 minutes'`);
  const { live, lost, stopped } = await readProcesses(database);
  t.deepEqual(live, []);
  t.like(lost, [{ pid: killed.pid, stopReason: null }]);
  t.like(stopped, [
    { pid: asked.pid, stopReason: 'SIGTERM', exitCode: 0, roles: [...workerRoles] },
  ]);
});
