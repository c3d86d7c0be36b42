import test from 'ava';
import { Queue, UnrecoverableError, Worker } from 'bullmq';
import { outboxJob, outboxJobId } from '../../shared/outbox/outbox-job.js';
import { queuePrefix } from '../../shared/queues/registry.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { createSweep, startSweeping, sweepEverything } from '../../workers/relay/sweep.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { measured } from '../helpers/metrics.js';
import { openOwnRedis } from '../helpers/own-redis.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { openFixture, type PromisedMail, type Fixture } from './fixture.js';

shareProcess();

const context = useContext();
const minutesAgo = (minutes: number): string => `now() - interval '${minutes} minutes'`;
const enqueued = { state: 'enqueued', enqueuedAt: minutesAgo(5), enqueueCount: 1 };

test.afterEach.always(async () => {
  await context.rows('delete from outbox');
});

test.serial(
  'a job that Redis does not know: the message is pending again, for the same job',
  async (t) => {
    const { fixture, sweep } = await setUp(t);
    const { id } = await fixture.promiseConfirmation({ message: enqueued });
    t.deepEqual(await sweep.run(), { checked: 0, returned: 1, dead_lettered: 0 });
    t.like(await fixture.messageOf(id), { state: 'pending', generation: 0 });
    t.true(fixture.messages().includes('sweep repaired messages without a job'));
  },
);

test.serial(
  'a job of which Redis has kept the id alone: once it is lost again the message gets a new job',
  async (t) => {
    const redis = await openOwnRedis(t, { maxMemory: '64mb' });
    const { fixture, sweep } = await setUp(t, redis.url);
    const { id } = await fixture.promiseConfirmation({ message: { ...enqueued, enqueueCount: 2 } });
    const job = { id, name: 'send-confirmation-mail', generation: 0 };
    await fixture.queues.mail.add(outboxJob(job));
    await redis.client.del('{mail}:mail:wait');
    await fixture.queues.mail.add(outboxJob(job));
    t.is((await fixture.queues.mail.stateOf(outboxJobId(job))).state, 'unknown');

    t.deepEqual(await sweep.run(), { checked: 0, returned: 1, dead_lettered: 0 });
    t.like(await fixture.messageOf(id), { state: 'pending', generation: 1 });
    const next = { ...job, generation: 1 };
    await fixture.queues.mail.add(outboxJob(next));
    t.is((await fixture.queues.mail.stateOf(outboxJobId(next))).state, 'waiting');
  },
);

test.serial(
  'a job that waits or is delayed: the message is noted as seen, and left alone for a minute',
  async (t) => {
    const { fixture, sweep } = await setUp(t);
    const { id } = await fixture.promiseConfirmation({ message: enqueued });
    await fixture.queues.mail.add(outboxJob({ id, name: 'send-confirmation-mail', generation: 0 }));
    t.deepEqual(await sweep.run(), { checked: 1, returned: 0, dead_lettered: 0 });
    t.not((await fixture.messageOf(id)).checked_at, null);
    t.deepEqual(await sweep.run(), { checked: 0, returned: 0, dead_lettered: 0 });
    t.like(await fixture.messageOf(id), { state: 'enqueued', generation: 0 });
  },
);

test.serial('a job that is being worked on is left alone', async (t) => {
  const { fixture, sweep, work } = await setUp(t);
  const promised = await fixture.promiseConfirmation({ message: enqueued });
  let finish: () => void = () => undefined;
  const working = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const done = work(fixture, promised, () => working);
  await eventually(
    async () =>
      (await fixture.queues.mail.stateOf(outboxJobId({ ...promised, generation: 0 }))).state ===
      'active',
  );
  t.deepEqual(await sweep.run(), { checked: 1, returned: 0, dead_lettered: 0 });
  finish();
  await done;
});

for (const [what, reason, told] of [
  ['whose workers died too often', 'job stalled more than allowable limit', undefined],
  ['that failed for a reason that its message does not know', 'no to ada@x.example', '[address]'],
] as const) {
  test.serial(`a job ${what}: the message gets a new job`, async (t) => {
    const { fixture, sweep, work } = await setUp(t);
    const promised = await fixture.promiseConfirmation({ message: enqueued });
    await work(fixture, promised, () => Promise.reject(new UnrecoverableError(reason)));
    t.deepEqual(await sweep.run(), { checked: 0, returned: 1, dead_lettered: 0 });
    t.like(await fixture.messageOf(promised.id), { state: 'pending', generation: 1 });
    const line = fixture.lines.find(
      ({ msg }) => msg === 'job failed but message open; re-enqueueing',
    );
    t.is(line?.['event.reason'], told === undefined ? reason : `no to ${told}`);
  });

  test.serial(`after ten jobs ${what} the message is dead, without an address`, async (t) => {
    const { fixture, sweep, metrics, work } = await setUp(t);
    const message = { ...enqueued, enqueueCount: 10 };
    const promised = await fixture.promiseConfirmation({ message });
    await work(fixture, promised, () => Promise.reject(new UnrecoverableError(reason)));
    t.deepEqual(await sweep.run(), { checked: 0, returned: 0, dead_lettered: 1 });
    t.is(await measured(metrics, 'rollcall_mail_outcomes_total', { outcome: 'dead' }), 1);
    const lastError = told === undefined ? reason : `no to ${told}`;
    t.like(await fixture.messageOf(promised.id), { state: 'dead', last_error: lastError });
  });
}

test.serial(
  'a job that is completed while its message is not settled: a new job, and a warning',
  async (t) => {
    const { fixture, sweep, work } = await setUp(t);
    const promised = await fixture.promiseConfirmation({ message: enqueued });
    await work(fixture, promised, async () => undefined);
    t.deepEqual(await sweep.run(), { checked: 0, returned: 1, dead_lettered: 0 });
    t.like(await fixture.messageOf(promised.id), { state: 'pending', generation: 1 });
    t.true(fixture.messages().includes('job completed but message open; redelivering'));
  },
);

test.serial(
  'messages in any other state, and those enqueued lately, are not looked at',
  async (t) => {
    const { fixture, sweep } = await setUp(t);
    for (const state of ['pending', 'settled', 'dead']) {
      await fixture.promiseConfirmation({ message: { ...enqueued, state } });
    }
    await fixture.promiseConfirmation({
      message: { ...enqueued, enqueuedAt: `now() - interval '50 seconds'` },
    });
    t.deepEqual(await sweep.run(), { checked: 0, returned: 0, dead_lettered: 0 });
  },
);

test.serial(
  'when Redis has lost its data, all messages are looked after, however new and however many',
  async (t) => {
    const { fixture, sweep } = await setUp(t);
    await context.rows(
      `insert into outbox (id, name, payload, trace_id, state, enqueued_at, enqueue_count)
     select gen_random_uuid(), 'send-confirmation-mail', '{}', 'x', 'enqueued', now(), 1 from generate_series(1, 620)`,
    );
    const { id } = await fixture.promiseConfirmation({
      message: { ...enqueued, enqueuedAt: 'now()' },
    });
    await fixture.queues.mail.add(outboxJob({ id, name: 'send-confirmation-mail', generation: 0 }));
    t.deepEqual(await sweepEverything(sweep), { checked: 1, returned: 620, dead_lettered: 0 });
  },
);

test.serial('a routine sweep looks at no more than 500 messages', async (t) => {
  const { sweep } = await setUp(t);
  await context.rows(
    `insert into outbox (id, name, payload, trace_id, state, enqueued_at, enqueue_count)
     select gen_random_uuid(), 'send-confirmation-mail', '{}', 'x', 'enqueued', ${minutesAgo(5)}, 1 from generate_series(1, 520)`,
  );
  t.is((await sweep.run()).returned, 500);
  t.is((await sweep.run()).returned, 20);
});

test.serial('a sweep of a thousand jobs that wait copies no list for any of them', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '256mb' });
  const { fixture, sweep } = await setUp(t, redis.url);
  const ids = await context.rows<{ id: string }>(
    `insert into outbox (id, name, payload, trace_id, state, enqueued_at, enqueue_count)
     select gen_random_uuid(), 'send-confirmation-mail', '{}', 'x', 'enqueued', now(), 1 from generate_series(1, 1000)
     returning id`,
  );
  const raw = new Queue('mail', {
    connection: redisAddress(redis.url),
    prefix: queuePrefix('mail'),
  });
  t.teardown(() => raw.close());
  await raw.addBulk(
    ids.map(({ id }) => ({
      name: 'x',
      data: outboxJob({ id, name: 'x', generation: 0 }).data,
      opts: { jobId: outboxJobId({ id, generation: 0 }), attempts: 2 },
    })),
  );
  await redis.client.config('RESETSTAT');
  t.deepEqual(await sweepEverything(sweep), { checked: 1_000, returned: 0, dead_lettered: 0 });
  t.notRegex(await redis.client.info('commandstats'), /cmdstat_lrange/);
  t.is((await fixture.queues.mail.stateOf('no-job')).state, 'unknown');
});

for (const how of ['refuse', 'silence'] as const) {
  test.serial(
    `with Redis down (${how}) the sweep stops and changes nothing: down is not the same as lost`,
    async (t) => {
      const proxy = await openTcpProxy(t, context.redisUrl);
      const { fixture, sweep } = await setUp(t, proxy.urlFor(context.redisUrl));
      const { id } = await fixture.promiseConfirmation({ message: enqueued });
      await proxy[how]();
      await t.throwsAsync(sweep.run(), { message: /could not be seen/ });
      t.like(await fixture.messageOf(id), { state: 'enqueued', checked_at: null });
    },
  );
}

test.serial('two sweeps at once: one works, the other leaves it to it', async (t) => {
  const { fixture, sweep } = await setUp(t);
  const other = await setUp(t);
  for (let i = 0; i < 20; i++) await fixture.promiseConfirmation({ message: enqueued });
  const results = await Promise.all([sweep.run(), other.sweep.run()]);
  t.deepEqual(
    results.map(({ returned }) => returned).toSorted((a, b) => a - b),
    [0, 20],
  );
});

test.serial('it runs by itself until it is stopped, and survives what goes wrong', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const { fixture, sweep } = await setUp(t, proxy.urlFor(context.redisUrl));
  const { id } = await fixture.promiseConfirmation({ message: enqueued });
  await proxy.refuse();
  const sweeping = startSweeping(sweep, fixture.log, 30);
  t.teardown(() => sweeping.stop());
  await eventually(() =>
    fixture.messages().some((message) => String(message).startsWith('sweep failed')),
  );
  await proxy.restore();
  await eventually(async () => (await fixture.messageOf(id)).state === 'pending');
  await sweeping.stop();
  t.pass();
});

async function setUp(scope: Scope, redisUrl?: string) {
  const fixture = await openFixture(scope, context, redisUrl);
  const metrics = createMetrics('worker');
  const sweep = createSweep({
    database: fixture.database,
    queue: fixture.queues.mail,
    metrics,
    log: fixture.log,
  });
  /** Has the message's job worked on by BullMQ itself until it has ended. */
  const work = async (
    on: Fixture,
    { id }: PromisedMail,
    process: () => Promise<void>,
  ): Promise<void> => {
    const connection = redisAddress(context.redisUrl);
    await on.queues.mail.add(outboxJob({ id, name: 'send-confirmation-mail', generation: 0 }));
    const jobId = outboxJobId({ id, generation: 0 });
    // Jobs that other tests left behind are taken too, and forgotten.
    const worker = new Worker('mail', async (job) => (job.id === jobId ? process() : undefined), {
      concurrency: 10,
      connection: { ...connection, maxRetriesPerRequest: null },
      prefix: queuePrefix('mail'),
      settings: { backoffStrategy: () => -1 },
    });
    worker.on('error', () => undefined);
    try {
      await eventually(async () =>
        ['completed', 'failed'].includes((await on.queues.mail.stateOf(jobId)).state),
      );
    } finally {
      await worker.close();
    }
  };
  return { fixture, sweep, metrics, work };
}
