import test from 'ava';
import { claimPort } from '../../dev/stack/processes/ports.js';
import { shipLogBatch } from '../../shared/jobs/ship-log-batch.js';
import { openCloudWatchServer, rounded } from '../helpers/cloudwatch.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { runWorker } from '../helpers/servers.js';
import {
  addMailJobs,
  countedBefore,
  countedInLastMinute,
  emptyStores,
  insertMessages,
  openPublisher,
  openTestClient,
  workerFinds,
} from './cloudwatch-fixture.js';

shareProcess();

const context = useContext();
/** 20 connections of 0.35 s, of which seven tenths are planned to be used. */
const PLANNED_PER_WORKER = (20 / 0.35) * 0.7;

// Serial: the endpoint's address is in an environment variable.
test.serial.beforeEach(() => emptyStores(context));

test.serial(
  'a worker publishes soon after its start, all at once, in its namespace and environment',
  async (t) => {
    const server = await openCloudWatchServer(t);
    await runWorker(context, {
      scope: t,
      env: {
        METRICS_CLOUDWATCH_NAMESPACE: 'Rollcall/Tests',
        METRICS_CLOUDWATCH_ENVIRONMENT: 'e-1',
      },
    });
    const { namespace, values, environments, headers } = await eventually(() => server.last());
    t.is(namespace, 'Rollcall/Tests');
    t.deepEqual(environments, ['e-1']);
    t.deepEqual(values, {
      WorkersNeeded: [0, 'Count'],
      WorkHeld: [0, 'None'],
      OutboxOldestSeconds: [0, 'Seconds'],
      OutboxMessages: [0, 'Count'],
      DeadLetters: [0, 'Count'],
      LogLinesDropped: [0, 'Count'],
    });
    t.regex(
      headers.authorization ?? '',
      /^AWS4-HMAC-SHA256 Credential=AKIDTESTTESTTESTTEST\/\d{8}\/eu-central-1\/monitoring\//,
    );
  },
);

test.serial('what waits and what was done call for workers, up to the rate', async (t) => {
  const { publish, fixture } = await openPublisher(t, context, { roles: ['mail'] });
  await countedInLastMinute(context, {
    'mail_outcomes{outcome="sent"}': 600,
    'mail_outcomes{outcome="deferred"}': 6_000,
    'mail_failures{effect="retry"}': 6_000,
  });
  await countedBefore(context, { 'mail_failures{effect="throttle"}': 5 });
  await insertMessages(context, 60);
  await insertMessages(context, 1_000, { availableAt: `now() + interval '1 hour'` });
  await addMailJobs(fixture, 30);
  t.deepEqual(await publish(), {
    WorkersNeeded: [rounded((600 / 60 + (60 + 30) / 30) / PLANNED_PER_WORKER), 'Count'],
    WorkHeld: [0, 'None'],
  });
  await insertMessages(context, 20_000);
  t.deepEqual((await publish())['WorkersNeeded'], [Math.ceil((300 * 0.35) / 20), 'Count']);
});

test.serial(
  'while the mail server is away nothing that waits counts, and no worker may go',
  async (t) => {
    const { publish, fixture } = await openPublisher(t, context, { roles: ['mail', 'relay'] });
    const nobody = await claimPort(0);
    t.teardown(() => nobody.release());
    await runWorker(context, {
      scope: t,
      env: { MAIL_PORT: String(nobody.port), WORKER_ROLES: 'mail,relay' },
    });
    await fixture.promiseConfirmation();
    const values = await eventually(async () => {
      const published = await publish();
      return published['WorkHeld']?.[0] === 1 && published;
    });
    t.deepEqual(values['WorkersNeeded'], [0, 'Count']);
    t.deepEqual(values['OutboxMessages'], [1, 'Count'], 'the mail waits');
  },
);

type Publisher = Awaited<ReturnType<typeof openPublisher>>;

const holdingMails: Readonly<Record<string, (publisher: Publisher) => Promise<unknown>>> = {
  'an operator has paused it': ({ fixture }) =>
    fixture.queues.mail.pause({ reason: 'r', by: 'b', since: new Date() }),
  'it is throttled after a refusal': ({ fixture }) => fixture.queues.mail.throttle(60_000),
  'a worker finds the mail server out of reach': () => workerFinds(context, 'smtp_circuit'),
  'a worker is refused by the mail server': () => workerFinds(context, 'smtp'),
  'a worker is refused by Redis': () => workerFinds(context, 'redis_refuses'),
  'the provider throttled': () =>
    countedInLastMinute(context, { 'mail_failures{effect="throttle"}': 1 }),
};

for (const [why, hold] of Object.entries(holdingMails)) {
  test.serial(`mails are held while ${why}`, async (t) => {
    const publisher = await openPublisher(t, context, { roles: ['mail'] });
    await countedInLastMinute(context, { 'mail_outcomes{outcome="sent"}': 60 });
    await insertMessages(context, 3_000);
    const free = await publisher.publish();
    t.deepEqual(free['WorkHeld'], [0, 'None']);
    t.true((free['WorkersNeeded']?.[0] ?? 0) > 1);
    await hold(publisher);
    t.deepEqual(await publisher.publish(), {
      WorkersNeeded: [rounded(1 / PLANNED_PER_WORKER), 'Count'],
      WorkHeld: [1, 'None'],
    });
    await context.rows('truncate outbox cascade');
    t.deepEqual((await publisher.publish())['WorkHeld'], [0, 'None'], 'unless nothing waits');
  });
}

test.serial('without Redis what is enqueued is held', async (t) => {
  const nobody = await claimPort(0);
  t.teardown(() => nobody.release());
  const { publish } = await openPublisher(t, context, {
    roles: ['mail'],
    redisUrl: `redis://127.0.0.1:${nobody.port}`,
  });
  t.deepEqual((await publish())['WorkHeld'], [0, 'None'], 'nothing waits');
  await insertMessages(context, 10, { state: 'enqueued', enqueuedAt: 'now()' });
  t.deepEqual(await publish(), { WorkersNeeded: [0, 'Count'], WorkHeld: [1, 'None'] });
});

test.serial('what a worker found that stopped or vanished holds nothing', async (t) => {
  const { publish } = await openPublisher(t, context, { roles: ['mail'] });
  await insertMessages(context, 30);
  await workerFinds(context, 'smtp', { stoppedAt: 'now()' });
  await workerFinds(context, 'smtp', { seenAt: `now() - interval '10 minutes'` });
  t.deepEqual((await publish())['WorkHeld'], [0, 'None']);
});

test.serial('log lines count by their batches, unless something holds them', async (t) => {
  const { publish, fixture } = await openPublisher(t, context, { roles: ['logs'] });
  await countedInLastMinute(context, {
    'firehose_records{result="accepted"}': 6e6,
    'firehose_calls{result="accepted"}': 12_000,
    log_lines_dropped: 7,
  });
  const add = async (id: string): Promise<void> =>
    fixture.queues.logs.add({ id, contract: shipLogBatch, data: { v: 1, lines: '' } });
  await Promise.all(Array.from({ length: 60 }, (_, i) => add(`l-${i}`)));
  const plannedPerWorker = 0.7 / 25.5e-6;
  t.deepEqual(await publish(), {
    WorkersNeeded: [rounded((1e5 + (60 * 500) / 30) / plannedPerWorker), 'Count'],
    WorkHeld: [0, 'None'],
    LogLinesDropped: [7, 'Count'],
  });
  const held = {
    WorkersNeeded: [rounded(1e5 / plannedPerWorker), 'Count'],
    WorkHeld: [1, 'None'],
    LogLinesDropped: [7, 'Count'],
  };
  for (const sign of [
    'firehose_calls{result="unavailable"}',
    'firehose_calls{result="misconfigured"}',
    'firehose_records{result="refused"}',
  ]) {
    await countedInLastMinute(context, { [sign]: 1 });
    t.deepEqual(await publish(), held, sign);
    await context.rows('delete from metric_minutes where name = $1', [sign]);
  }
  t.deepEqual((await publish())['WorkHeld'], [0, 'None']);
  await workerFinds(context, 'firehose');
  t.deepEqual(await publish(), held);
});

test.serial('each worker tells what its roles know, and nothing else', async (t) => {
  for (const [roles, names] of [
    [['mail'], ['WorkersNeeded', 'WorkHeld']],
    [['logs'], ['WorkersNeeded', 'WorkHeld', 'LogLinesDropped']],
    [['relay'], ['OutboxOldestSeconds', 'OutboxMessages', 'DeadLetters']],
  ] as const) {
    const { publish } = await openPublisher(t, context, { roles: [...roles] });
    t.deepEqual(Object.keys(await publish()), names, roles.join());
  }
  const { publish } = await openPublisher(t, context, {
    roles: ['mail', 'relay'],
    sink: undefined,
  });
  await insertMessages(context, 3, { state: 'dead' });
  await insertMessages(context, 2, { state: 'uncertain' });
  await insertMessages(context, 4, { availableAt: `now() - interval '90 seconds'` });
  await insertMessages(context, 5, {
    state: 'enqueued',
    enqueuedAt: `now() - interval '10 seconds'`,
  });
  const values = await publish();
  t.deepEqual(values['DeadLetters'], [5, 'Count']);
  t.deepEqual(values['OutboxMessages'], [9, 'Count']);
  t.true((values['OutboxOldestSeconds']?.[0] ?? 0) >= 90);
});

test.serial(
  'a publication that fails is counted, logged now and then, and followed by the next one',
  async (t) => {
    const { publishing, server, count, logger, publish } = await openPublisher(t, context, {
      roles: ['relay'],
    });
    server.answer = () => ({
      status: 400,
      body: { __type: 'AccessDenied', message: 'not authorized to perform PutMetricData' },
    });
    for (const times of [1, 2]) {
      publishing.runNow();
      await eventually(async () => (await count('failed')) === times);
    }
    t.is(server.requests(), 2, 'what is refused is not sent again');
    server.answer = () => ({ status: 500, body: { __type: 'InternalServiceFault' } });
    publishing.runNow();
    await eventually(async () => (await count('failed')) === 3);
    t.is(server.requests(), 5, 'what may pass is sent three times at most');
    server.answer = undefined;
    await publish();
    t.is(await count('published'), 1);
    t.is(await count('failed'), 3);
    const logged = logger.lines.filter(({ msg }) => msg === 'metrics not published to CloudWatch');
    t.is(logged.length, 2, 'once for each kind of failure');
  },
);

test.serial('without PostgreSQL nothing is published, and the failure is counted', async (t) => {
  const nobody = await claimPort(0);
  t.teardown(() => nobody.release());
  const { publishing, server, count } = await openPublisher(t, context, {
    roles: ['mail', 'relay'],
    database: { host: '127.0.0.1', port: nobody.port, timeoutMs: 2_000 },
  });
  publishing.runNow();
  await eventually(async () => (await count('failed')) === 1);
  t.is(server.requests(), 0);
});

test.serial('a CloudWatch that does not answer keeps no worker from stopping', async (t) => {
  const signals: AbortSignal[] = [];
  const { publishing, count, logger } = await openPublisher(t, context, {
    roles: ['relay'],
    cloudWatch: {
      put(_, signal) {
        signals.push(signal);
        return new Promise(() => undefined);
      },
      close: () => undefined,
    },
  });
  publishing.runNow();
  await eventually(() => signals.length === 1);
  await publishing.stop();
  t.true(signals[0]?.aborted);
  t.is(await count('failed'), 0, 'ended by the worker itself: no failure');
  t.deepEqual(logger.messages(), []);
});

test.serial('the client gives a call up when it is told to', async (t) => {
  const server = await openCloudWatchServer(t);
  server.answer = () => 'hang';
  const client = openTestClient(t);
  const stopping = new AbortController();
  const call = client.put([{ name: 'DeadLetters', unit: 'Count', value: 1 }], stopping.signal);
  await eventually(() => server.requests() === 1);
  stopping.abort();
  await t.throwsAsync(call, { name: 'AbortError' });
  await eventually(() => server.hasNoConnection());
  t.is(server.requests(), 1);
});
