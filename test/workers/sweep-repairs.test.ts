import test from 'ava';
import { QueryTypes } from 'sequelize';
import type { Redis } from 'ioredis';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { outboxJob, outboxJobId, outboxJobs } from '../../shared/outbox/outbox-job.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import { startJobWorker } from '../../workers/jobs/start-worker.js';
import { startRelay } from '../../workers/relay/relay.js';
import { createSweep, startSweeping, sweepEverything } from '../../workers/relay/sweep.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { openOwnRedis } from '../helpers/own-redis.js';
import { openFixture, type Fixture } from './fixture.js';
import { anyJob } from '../helpers/any-job.js';

shareProcess();

const context = useContext();
const enqueued = { state: 'enqueued', enqueuedAt: `now() - interval '5 minutes'`, enqueueCount: 1 };
const name = 'send-confirmation-mail';
const keyOf = (id: string): string => `{mail}:mail:${outboxJobId({ id, generation: 0 })}`;

test.afterEach.always(() => context.rows('delete from outbox'));

const setData = (data: string) => (redis: Redis, id: string) => redis.hset(keyOf(id), { data });
const another = { v: 1, outbox_id: '00000000-0000-4000-8000-000000000000', generation: 0 };

/** What may be left of a job in Redis. */
const damages: Readonly<Record<string, (redis: Redis, id: string) => Promise<unknown>>> = {
  'whose data are cut off': setData('{"v":1,"outbox_'),
  'whose data are no object': setData('"text"'),
  'whose data are empty': setData(''),
  'whose data lack the id': setData('{"v":1}'),
  'whose data are another message’s': setData(JSON.stringify(another)),
  'whose data are of another generation': (redis, id) =>
    setData(JSON.stringify({ v: 1, outbox_id: id, generation: 7 }))(redis, id),
  'whose data are gone': (redis, id) => redis.hdel(keyOf(id), 'data'),
  'whose options are cut off': (redis, id) => redis.hset(keyOf(id), { opts: '{"att' }),
  'whose options are gone': (redis, id) => redis.hdel(keyOf(id), 'opts'),
  'of which only the id is left': (redis, id) => redis.del(keyOf(id)),
  'whose key holds a text': (redis, id) => redis.set(keyOf(id), 'text'),
  'whose key holds a list': (redis, id) =>
    redis.multi().del(keyOf(id)).lpush(keyOf(id), 'x').exec(),
  'that is delayed for years': (redis, id) =>
    redis
      .multi()
      .lrem('{mail}:mail:wait', 0, outboxJobId({ id, generation: 0 }))
      .zadd('{mail}:mail:delayed', Number.MAX_SAFE_INTEGER, outboxJobId({ id, generation: 0 }))
      .exec(),
};

for (const [what, spoil] of Object.entries(damages)) {
  test.serial(`a job ${what}: its message gets a new one, and nothing is left of it`, async (t) => {
    const { fixture, sweep, redis, id, intact } = await setUpSpoilt(t, spoil);
    t.deepEqual(await sweep.run(), { checked: 1, returned: 1, dead_lettered: 0 });
    t.like(await fixture.messageOf(id), { state: 'pending', generation: 1 });
    t.true(fixture.messages().includes('job corrupt; re-enqueueing'));
    t.is(await redis.exists(keyOf(id)), 0);
    t.is((await fixture.queues.mail.stateOf(outboxJobId({ id, generation: 0 }))).state, 'unknown');
    t.like(await fixture.messageOf(intact.id), { state: 'enqueued', generation: 0 });
  });

  test.serial(`a job ${what}: a worker that meets it first loses no mail by it`, async (t) => {
    const { fixture, sweep, redis, id, intact } = await setUpSpoilt(t, spoil);
    const done = startWorker(t, fixture, redis);
    await eventually(() => done.has(`${intact.id}/0`), { of: 'the other mail being worked on' });
    await context.rows(`update outbox set state = 'settled' where id = $1`, [intact.id]);
    startRelaying(t, fixture);
    await eventually(
      async () => {
        await context.rows(
          `update outbox set enqueued_at = now() - interval '5 minutes', checked_at = null
            where state = 'enqueued'`,
        );
        await sweep.run();
        return [...done].some((key) => key.startsWith(`${id}/`) && key !== `${id}/7`);
      },
      { of: 'the mail of the broken job being worked on' },
    );
    t.not((await fixture.messageOf(id)).state, 'dead');
  });
}

test.serial('after ten broken jobs the message is dead, and says why', async (t) => {
  const { fixture, sweep, redis } = await setUp(t);
  const { id } = await fixture.promiseConfirmation({ message: { ...enqueued, enqueueCount: 10 } });
  await fixture.queues.mail.add(outboxJob({ id, name, generation: 0 }));
  await setData('[')(redis, id);
  t.deepEqual(await sweep.run(), { checked: 0, returned: 0, dead_lettered: 1 });
  t.like(await fixture.messageOf(id), { state: 'dead', last_error: 'the job is broken' });
});

test.serial('a job of a newer version is left to a newer worker', async (t) => {
  const { fixture, sweep, redis } = await setUp(t);
  const { id } = await fixture.promiseConfirmation({ message: enqueued });
  await fixture.queues.mail.add(outboxJob({ id, name, generation: 0 }));
  await setData(JSON.stringify({ v: 2, message: id }))(redis, id);
  t.deepEqual(await sweep.run(), { checked: 1, returned: 0, dead_lettered: 0 });
});

const keys = ['wait', 'active', 'delayed', 'failed', 'marker', 'stalled', 'meta', 'events'];
for (const key of [...keys, 'limiter', 'id']) {
  test.serial(`a queue whose key ${key} holds another type of data works again`, async (t) => {
    const { fixture, sweep, redis } = await setUp(t);
    const { id } = await fixture.promiseConfirmation({ message: enqueued });
    await fixture.queues.mail.add(outboxJob({ id, name, generation: 0 }));
    await redis.set(`{mail}:mail:${key}`, 'text');
    t.is((await sweep.run()).dead_lettered, 0);
    t.true(fixture.messages().includes('corrupt queue keys removed'));
    const next = await fixture.promiseConfirmation({ message: enqueued });
    await fixture.queues.mail.add(outboxJob({ id: next.id, name, generation: 0 }));
    const { state } = await fixture.queues.mail.stateOf(
      outboxJobId({ id: next.id, generation: 0 }),
    );
    t.is(state, 'waiting');
  });
}

test.serial(
  'counts of the queue that are numbers are left alone, and lists in their place are not',
  async (t) => {
    const { fixture, sweep, redis } = await setUp(t);
    await redis.mset('{mail}:mail:limiter', Number.MAX_SAFE_INTEGER, '{mail}:mail:id', '7');
    await sweep.run();
    t.is(await redis.exists('{mail}:mail:limiter', '{mail}:mail:id'), 2);
    t.false(fixture.messages().some((message) => String(message).startsWith('corrupt')));
    await redis.del('{mail}:mail:limiter', '{mail}:mail:id');
    await redis.lpush('{mail}:mail:limiter', '1');
    await redis.set('{mail}:mail:id', '99999999999999999999');
    await sweep.run();
    t.is(await redis.exists('{mail}:mail:limiter', '{mail}:mail:id'), 0);
  },
);

test.serial('keys of the log batches that hold another type of data are removed too', async (t) => {
  const { fixture, sweep, redis } = await setUp(t);
  await redis.mset('{logs}:logs:wait', 'text', '{logs}:logs:id', 'text', '{logs}:shipped', 'text');
  await sweep.run();
  t.true(fixture.messages().includes('corrupt log queue keys removed'));
  await fixture.queues.receipts.write('l-1');
  t.deepEqual([...(await fixture.queues.receipts.find(['l-1']))], ['l-1']);
  await fixture.queues.logs.add({
    id: 'l-2',
    contract: anyJob('logs', 'ship-log-batch'),
    data: {},
  });
  t.is((await fixture.queues.logs.stateOf('l-2')).state, 'waiting');
});

test.serial('the name of Redis’s data in a key of another type counts as lost data', async (t) => {
  const { fixture, redis } = await setUp(t);
  const before = await fixture.queues.epoch();
  await redis.del('{mail}:epoch');
  await redis.lpush('{mail}:epoch', 'x');
  t.not(await fixture.queues.epoch(), before);
  t.is(await redis.type('{mail}:epoch'), 'string');
});

test.serial(
  'one row in somebody’s open transaction holds up no other, and is repaired once it is free (field: graphile/worker #121)',
  async (t) => {
    const { fixture, sweep } = await setUp(t);
    const locked = await fixture.promiseConfirmation({ message: enqueued });
    const failed = await fixture.promiseConfirmation({
      message: { ...enqueued, enqueueCount: 10 },
    });
    await fixture.queues.mail.add(outboxJob({ id: failed.id, name, generation: 0 }));
    for (let i = 0; i < 7; i++) await fixture.promiseConfirmation({ message: enqueued });
    await holding(fixture, [locked.id], async () => {
      t.deepEqual(await sweep.run(), { checked: 1, returned: 7, dead_lettered: 0 });
      t.is((await fixture.messageOf(locked.id)).state, 'enqueued');
    });
    t.deepEqual(await sweep.run(), { checked: 0, returned: 1, dead_lettered: 0 });
  },
);

test.serial(
  'a sweep of everything ends though more rows are locked than it takes at once',
  async (t) => {
    const { fixture, sweep } = await setUp(t);
    const rows = await context.rows<{ id: string }>(
      `insert into outbox (id, name, payload, trace_id, state, enqueued_at, enqueue_count)
     select gen_random_uuid(), 'x', '{}', 'x', 'enqueued', now() - interval '5 minutes', 1
       from generate_series(1, 60) returning id`,
    );
    const free = await fixture.promiseConfirmation({
      message: { ...enqueued, enqueuedAt: 'now()' },
    });
    await holding(
      fixture,
      rows.map(({ id }) => id),
      async () => {
        t.deepEqual(await sweepEverything(sweep), { checked: 0, returned: 1, dead_lettered: 0 });
        t.is((await fixture.messageOf(free.id)).state, 'pending');
      },
    );
  },
);

test.serial('the relay goes on while the sweep cannot: it waits for no repair', async (t) => {
  const { fixture } = await setUp(t);
  const { id } = await fixture.promiseConfirmation({
    message: { createdAt: `now() - interval '1 minute'` },
  });
  let repairs = 0;
  const sweeping = startSweeping(
    {
      run({ signal } = {}) {
        repairs += 1;
        return new Promise((resolve) => {
          const end = () => resolve({ checked: 0, returned: 0, dead_lettered: 0 });
          signal?.addEventListener('abort', end);
        });
      },
    },
    fixture.log,
    20,
  );
  t.teardown(() => sweeping.stop());
  await eventually(() => repairs === 1);
  let isFirst = true;
  const relay = startRelay(
    {
      metrics: createMetrics('worker'),
      faults: createDependencyFaults(),
      ...fixture,
      queues: {
        ...fixture.queues,
        // Another name at the second look: the data are lost.
        epoch: async () => (isFirst ? ((isFirst = false), 'one') : 'two'),
      },
      failpoint: () => undefined,
      onDataLoss: () => sweeping.everything(),
    },
    { intervalMs: 20, graceMs: 2_000 },
  );
  t.teardown(() => relay.stop());
  await eventually(async () => (await fixture.messageOf(id)).state === 'enqueued');
  const next = await fixture.promiseConfirmation({
    message: { createdAt: `now() - interval '1 minute'` },
  });
  await eventually(() =>
    fixture.messages().some((message) => String(message).startsWith('Redis data loss')),
  );
  await eventually(async () => (await fixture.messageOf(next.id)).state === 'enqueued');
  t.pass();
});

async function setUp(scope: Scope) {
  const { url, client } = await openOwnRedis(scope, { maxMemory: '64mb' });
  const fixture = await openFixture(scope, context, url);
  const sweep = createSweep({
    database: fixture.database,
    queue: fixture.queues.mail,
    repairLogs: () => fixture.queues.repairLogs(),
    metrics: createMetrics('worker'),
    log: fixture.log,
  });
  return { fixture, sweep, redis: client };
}

/** Two messages with a job each, one of which is spoilt. */
async function setUpSpoilt(t: Scope, spoil: (redis: Redis, id: string) => Promise<unknown>) {
  const { fixture, sweep, redis } = await setUp(t);
  const { id } = await fixture.promiseConfirmation({ message: enqueued });
  const intact = await fixture.promiseConfirmation({ message: enqueued });
  for (const each of [id, intact.id])
    await fixture.queues.mail.add(outboxJob({ id: each, name, generation: 0 }));
  await spoil(redis, id);
  return { fixture, sweep, redis, id, intact };
}

/** Holds the rows' locks in an open transaction meanwhile. */
async function holding(
  { database }: Fixture,
  ids: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  await withTransaction(database, async (tx) => {
    await database.query('select 1 from outbox where id = any($ids::uuid[]) for update', {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: { ids },
    });
    await work();
  });
}

/** Works jobs without effect; the set gets each message and generation that it has met. */
function startWorker(scope: Scope, fixture: Fixture, redis: Redis): ReadonlySet<string> {
  const done = new Set<string>();
  const worker = startJobWorker({
    metrics: createMetrics('worker'),
    jobs: outboxJobs,
    redisUrl: `redis://${redis.options.host}:${redis.options.port}/0`,
    producer: fixture.queues.mail,
    process: async ({ outbox_id: id, generation }) => {
      done.add(`${id}/${generation}`);
      return 'done';
    },
    settings: {
      concurrency: 1,
      firstConcurrency: 1,
      limiter: { max: 100, duration: 1_000 },
      lockDurationMs: 2_000,
      stalledIntervalMs: 500,
    },
    faults: createDependencyFaults(),
    log: fixture.log,
    onStalled: () => undefined,
    successLevel: 'info',
  });
  scope.teardown(() => worker.stop(100));
  return done;
}

function startRelaying(scope: Scope, fixture: Fixture): void {
  const relay = startRelay(
    {
      metrics: createMetrics('worker'),
      faults: createDependencyFaults(),
      ...fixture,
      failpoint: () => undefined,
      onDataLoss: () => undefined,
    },
    { intervalMs: 30, graceMs: 0 },
  );
  scope.teardown(() => relay.stop());
}
