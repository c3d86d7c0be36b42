import { randomUUID } from 'node:crypto';
import test from 'ava';
import { readFacts, type Facts, type SpoolFacts } from '../../../shared/alerts/facts.js';
import { evaluate, redState } from '../../../shared/alerts/evaluation.js';
import { readRedStates } from '../../../shared/alerts/read-red-states.js';
import { redStateNames } from '../../../shared/alerts/red-states.js';
import type { ProblemKind } from '../../../shared/health/checks.js';
import { QUEUE_CONSUMER_STALLED } from '../../../shared/lifecycle/lifecycle.js';
import { commonChecks } from '../../../shared/health/readiness.js';
import type { ProcessPresence } from '../../../shared/presence/read-processes.js';
import { openQueues } from '../../../shared/queues/queues.js';
import type { TaskName } from '../../../shared/tasks/catalogue.js';
import type { TaskRunFacts } from '../../../shared/tasks/read-task-runs.js';
import { forEachQueue, workerRoles, type WorkerRole } from '../../../shared/queues/registry.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';
import { insertMessage } from '../../workers/fixture.js';

shareProcess();

const at = new Date('2026-11-29T03:00:00Z');
const worker: ProcessPresence = {
  id: 'one',
  service: 'rollcall-worker',
  host: 'host-1',
  pid: 7,
  version: '1.0.0',
  roles: workerRoles,
  startedAt: at,
  seenAt: at,
  seenSecondsAgo: 20,
  stoppedAt: null,
  stopReason: null,
  exitCode: null,
  memoryBytes: 1,
  health: {},
};

const none = { live: [], lost: [], stopped: [] };
const onlyWorker = (facts: Partial<ProcessPresence>): Facts => ({
  ...well,
  processes: { ...none, live: [{ ...worker, ...facts }] },
});
const alsoLost = (facts: Partial<ProcessPresence>): Facts => ({
  ...well,
  processes: { ...none, live: [worker], lost: [{ ...worker, ...facts }] },
});
const alsoStopped = (facts: Partial<ProcessPresence>): Facts => ({
  ...well,
  processes: { ...none, live: [worker], stopped: [{ ...worker, stoppedAt: at, ...facts }] },
});

const ranAgo = (task: TaskName, finishedSecondsAgo: number): TaskRunFacts => ({
  task,
  failedRuns: 0,
  error: null,
  finishedSecondsAgo,
});

const well: Facts = {
  checks: {
    postgres: { ok: true },
    redis: { ok: true },
    redis_logs: { ok: true },
    migrations: { ok: true },
    outbox: { ok: true, oldest_pending_seconds: 0, oldest_untried_seconds: 0 },
  },
  processes: { live: [worker], lost: [], stopped: [] },
  mail: { failure: undefined, newDead: 0, newUncertain: 0 },
  redisUse: { main: 0.1, logs: 0.1 },
  pauses: forEachQueue(() => null),
  redisNames: ['main', 'logs'],
  neededRoles: workerRoles,
  spool: { bytes: 0, maxBytes: 100, oldestSeconds: 3, droppedLines: 5, recentlyDropped: 0 },
  tasks: [ranAgo('purge-expired', 3_600), ranAgo('sweep-outbox', 20)],
};

const failing = (check: string, problem: string, kind?: ProblemKind): Facts => ({
  ...well,
  checks: { ...well.checks, [check]: { ok: false, problem, kind } },
});

const outbox = (kind: ProblemKind): Facts => ({
  ...well,
  checks: {
    ...well.checks,
    outbox: {
      ok: false,
      problem: 'messages wait',
      kind,
      oldest_pending_seconds: 600,
      oldest_untried_seconds: 600,
    },
  },
});

const withHealth = (check: string, problem: string, kind?: ProblemKind): Facts =>
  onlyWorker({ health: { [check]: { ok: false, problem, ...(kind && { kind }) } } });

const withSpool = (facts: Partial<SpoolFacts>): Facts => ({
  ...well,
  spool: {
    bytes: 0,
    maxBytes: 100,
    oldestSeconds: 3,
    droppedLines: 0,
    recentlyDropped: 0,
    ...facts,
  },
});

const pausedFor = (minutes: number) => ({
  reason: 'the provider moves',
  by: 'operator 7',
  since: new Date(Date.now() - minutes * 60_000),
});

/** For each state: what makes it red, and what is found. */
const cases: Readonly<Record<string, readonly [Facts, RegExp]>> = {
  postgres_down: [failing('postgres', 'postgres cannot be reached'), /cannot be reached/],
  postgres_refuses: [failing('postgres', 'it is busy', 'refuses_statements'), /busy/],
  unsuitable_locale: [failing('postgres', 'has a locale', 'unsuitable_locale'), /locale/],
  postgres_refuses_writes: [failing('postgres', 'it is read-only', 'refuses_writes'), /read-only/],
  migrations_pending: [
    failing('migrations', 'one has not run', 'migrations_pending'),
    /newer schema/,
  ],
  rights_missing: [withHealth('rights', 'it lacks select on admins', 'rights_missing'), /select/],
  redis_down: [failing('redis', 'redis did not answer in time'), /did not answer/],
  redis_refuses: [failing('redis', 'it wants a password', 'refuses_commands'), /password/],
  redis_full: [{ ...well, redisUse: { main: 0.8, logs: 0 } }, /80 %.*added to mail/],
  redis_logs_down: [failing('redis_logs', 'redis_logs cannot be reached'), /redis_logs/],
  redis_logs_refuses: [withHealth('redis_refuses_logs', 'it is busy', 'refuses_commands'), /busy/],
  redis_logs_full: [withHealth('redis_refuses_logs', 'no memory', 'out_of_memory'), /memory/],
  ...Object.fromEntries(
    workerRoles.map((role) => [
      `no_worker_${role}`,
      [onlyWorker({ roles: workerRoles.filter((other) => other !== role) }), /its work waits/],
    ]),
  ),
  process_lost: [
    alsoLost({ seenSecondsAgo: 300 }),
    /rollcall-worker \(host-1, 7\), last seen at 2026-11-29 03:00:00 UTC/,
  ],
  process_crashed: [
    alsoStopped({ seenSecondsAgo: 60, exitCode: 1, stopReason: 'uncaughtException: TypeError' }),
    /03:00:00 UTC: uncaughtException: TypeError/,
  ],
  queue_consumer_stalled: [
    alsoStopped({ seenSecondsAgo: 60, exitCode: 1, stopReason: QUEUE_CONSUMER_STALLED }),
    /03:00:00 UTC/,
  ],
  clocks_differ: [
    withHealth('clock', '10 s behind PostgreSQL'),
    /^rollcall-worker \(host-1, 7\): 10 s behind PostgreSQL$/,
  ],
  outbox_not_relayed: [outbox('not_relayed'), /oldest for 10 min$/],
  mails_not_worked_on: [outbox('not_processed'), /oldest for 10 min$/],
  mail_failing: [
    { ...well, mail: { failure: 'none was sent', newDead: 0, newUncertain: 0 } },
    /none/,
  ],
  smtp_refuses: [withHealth('smtp', '535 wrong password'), /535/],
  dead_letters: [
    { ...well, mail: { failure: undefined, newDead: 3, newUncertain: 0 } },
    /3 given up/,
  ],
  mails_perhaps_sent: [
    { ...well, mail: { failure: undefined, newDead: 0, newUncertain: 2 } },
    /2 perhaps sent/,
  ],
  queue_paused: [
    { ...well, pauses: { mail: pausedFor(31), logs: pausedFor(5) } },
    /^mail, by operator 7 at .*: the provider moves$/,
  ],
  firehose_refuses: [withHealth('firehose', 'AccessDeniedException'), /AccessDenied/],
  log_lines_dropped: [withSpool({ droppedLines: 5, recentlyDropped: 4 }), /4 lines/],
  spool_nearly_full: [withSpool({ bytes: 80 }), /80 %/],
  logs_not_shipped: [withSpool({ oldestSeconds: 1_200 }), /^the oldest for 20 min$/],
  task_failing: [
    { ...well, tasks: [{ ...ranAgo('purge-expired', 60), failedRuns: 3, error: 'no room' }] },
    /^purge-expired failed 3 times in a row: no room$/,
  ],
};

test('a detail that is cut ends with no half of a character', (t) => {
  const { detail } = redState('mail_failing', `${'x'.repeat(499)}🙂 and more`);
  t.is(detail, `${'x'.repeat(499)}\ufffd`);
});

test('every state has a case here', (t) => {
  t.deepEqual(Object.keys(cases).toSorted(), redStateNames.toSorted());
});

test('while all is well nothing is red, and everything is known', (t) => {
  t.deepEqual(evaluate(well), { red: [], unknown: [] });
});

for (const [name, [facts, found]] of Object.entries(cases)) {
  test(`${name} is red by its fault, and nothing else is`, (t) => {
    const { red } = evaluate(facts);
    t.deepEqual(
      red.map((state) => state.name),
      [name],
    );
    t.regex(red[0]?.detail ?? '', found);
  });
}

test('nothing is concluded from what could not be read', (t) => {
  const { red, unknown } = evaluate({
    ...well,
    checks: { postgres: { ok: false, problem: 'postgres cannot be reached' } },
    processes: undefined,
    mail: undefined,
    redisUse: {},
    pauses: {},
  });
  t.deepEqual(
    red.map(({ name }) => name),
    ['postgres_down'],
  );
  for (const name of [
    'no_worker_mail',
    'queue_paused',
    'dead_letters',
    'outbox_not_relayed',
    'redis_down',
  ])
    t.true((unknown as readonly string[]).includes(name), name);
});

test('what is over is not red: a stop in order, a loss and a crash of long ago, a role nobody needs', (t) => {
  const over = [
    alsoStopped({ exitCode: 0, stopReason: 'SIGTERM' }),
    alsoLost({ seenSecondsAgo: 4_000 }),
    alsoStopped({ seenSecondsAgo: 1_000, exitCode: 1, stopReason: 'uncaughtException' }),
    { ...onlyWorker({ roles: ['mail', 'relay'] }), neededRoles: ['mail', 'relay'] as const },
  ];
  for (const facts of over) t.deepEqual(evaluate(facts).red, []);
});

test('while an operator has paused the queue of the logs, their age is no alert of its own', (t) => {
  const facts = withSpool({ oldestSeconds: 1_200 });
  t.deepEqual(evaluate({ ...facts, pauses: { mail: null, logs: pausedFor(20) } }).red, []);
});

test('a task that has not run for twice its interval is red once a worker had the time to run it', (t) => {
  const idle = { ...well, tasks: [ranAgo('purge-expired', 13 * 3_600)] };
  const workerFor = (hours: number, roles: readonly WorkerRole[] = ['relay']) => ({
    ...none,
    live: [{ ...worker, roles, startedAt: new Date(at.getTime() - hours * 3_600_000) }],
  });
  const found = (facts: Facts) =>
    evaluate({ ...facts, neededRoles: [] }).red.map(({ detail }) => detail);
  t.deepEqual(found({ ...idle, processes: workerFor(20) }), ['purge-expired has not run for 13 h']);
  t.deepEqual(found({ ...idle, processes: workerFor(2) }), [], 'started lately');
  t.deepEqual(found({ ...idle, processes: workerFor(20, ['mail']) }), [], 'of another role');
  t.deepEqual(found({ ...idle, processes: undefined }), [], 'unknown');
  const never = { ...ranAgo('rotate-audit', 0), finishedSecondsAgo: undefined };
  t.deepEqual(found({ ...well, tasks: [never], processes: workerFor(20) }), [
    'rotate-audit has not run for 20 h',
  ]);
});

test('a task that failed once or twice may succeed soon', (t) => {
  const failed = (task: TaskName, failedRuns: number) =>
    evaluate({ ...well, tasks: [{ ...ranAgo(task, 1), failedRuns, error: 'x' }] }).red.map(
      ({ name }) => name,
    );
  t.deepEqual(failed('rotate-audit', 2), []);
  t.deepEqual(failed('sweep-outbox', 3), ['task_failing']);
});

test('with one Redis for all queues, what its consumers meet is told of that one', (t) => {
  const { red } = evaluate({
    ...withHealth('redis_refuses_logs', 'no memory', 'out_of_memory'),
    redisNames: ['main'],
    redisUse: { main: 0.65 },
  });
  t.deepEqual(
    red.map(({ name }) => name),
    ['redis_full'],
  );
});

test('a refusal without a kind, as an older worker writes it, is red as one of commands', (t) => {
  const { red } = evaluate(withHealth('redis_refuses', 'Redis has no memory left'));
  t.deepEqual(
    red.map(({ name }) => name),
    ['redis_refuses'],
  );
});

test('a detail is bounded', (t) => {
  const { red } = evaluate(withHealth('smtp', 'x'.repeat(5_000)));
  t.is(red[0]?.detail.length, 500);
});

const context = useContext();

async function setUp(scope: Scope, urls: { postgres?: string; redis?: string } = {}) {
  const { log } = createRecordingLogger();
  const impatient = { timeoutMs: 1_000 };
  const database = openTestDatabase(
    scope,
    urls.postgres ?? context.databaseUrl,
    urls.postgres === undefined ? {} : impatient,
  );
  const redis = urls.redis ?? context.redisUrl;
  const queues = openQueues({ url: redis, logsUrl: redis }, log);
  scope.teardown(() => queues.close());
  const neededRoles = ['mail', 'relay'] as const;
  return { database, queues, checks: commonChecks(database, queues), neededRoles };
}

test.serial(
  'facts are read from the rows, and an alert of another process is shown with its age',
  async (t) => {
    const deps = await setUp(t);
    await eventually(() => deps.queues.ping().then(() => true), { of: 'Redis' });
    await context.rows(
      `insert into processes (id, service, host, pid, version, roles, health) values
       ($1, 'rollcall-worker', 'h', 1, '1', '{mail,relay}', '{"smtp": {"ok": false, "problem": "535 no"}}')`,
      [randomUUID()],
    );
    const id = await insertMessage(context, null, 'send-security-notice', {}, { state: 'dead' });
    await context.rows('update outbox set given_up_at = now() where id = $1', [id]);
    const old = await insertMessage(context, null, 'send-security-notice', {}, { state: 'dead' });
    await context.rows(`update outbox set given_up_at = now() - interval '2 hours' where id = $1`, [
      old,
    ]);
    await context.rows(
      `insert into alerts (id, name, detail, raised_at) values
       ($1, 'spool_nearly_full', '80 %', now() - interval '1 hour'), ($2, 'of_another_release', '', now())`,
      [randomUUID(), randomUUID()],
    );

    const { red, unknown } = await readRedStates(deps);
    t.deepEqual(
      red.map(({ name, detail }) => [name, detail]),
      [
        ['smtp_refuses', '535 no'],
        ['dead_letters', '1 given up within the last hour'],
        ['spool_nearly_full', '80 %'],
      ],
    );
    t.true((red[2]?.since?.getTime() ?? Infinity) < Date.now() - 3_000_000);
    t.deepEqual(unknown, []);
  },
);

test.serial('with PostgreSQL and Redis gone it still says so, within a few seconds', async (t) => {
  const postgres = await openTcpProxy(t, context.databaseUrl);
  const redis = await openTcpProxy(t, context.redisUrl);
  const deps = await setUp(t, {
    postgres: postgres.urlFor(context.databaseUrl),
    redis: redis.urlFor(context.redisUrl),
  });
  await eventually(() => deps.queues.ping().then(() => true), { of: 'Redis' });
  await Promise.all([postgres.refuse(), redis.refuse()]);
  const { red, unknown } = await readRedStates(deps);
  t.deepEqual(
    red.map(({ name }) => name),
    ['postgres_down', 'redis_down'],
  );
  t.true(unknown.includes('no_worker_mail'));
  t.is((await readFacts(deps)).mail, undefined);
});
