import { randomUUID } from 'node:crypto';
import test from 'ava';
import { Redis } from 'ioredis';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { outboxJobId } from '../../shared/outbox/outbox-job.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import { startRelay } from '../../workers/relay/relay.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { openOwnRedis } from '../helpers/own-redis.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { openFixture } from './fixture.js';
import { anyJob } from '../helpers/any-job.js';

shareProcess();

const context = useContext();
const past = (seconds: number): string => `now() - interval '${seconds} seconds'`;
const old = { createdAt: past(10), availableAt: past(10) };

test.serial('a pending message is put on its queue under its id, and marked', async (t) => {
  const { fixture, start } = await setUp(t);
  const { id } = await fixture.promiseConfirmation({ message: old });
  start();
  const row = await eventually(async () => {
    const message = await fixture.messageOf(id);
    return message.state === 'enqueued' && message;
  });
  t.like(row, { enqueue_count: 1, generation: 0, checked_at: null });
  t.not(row.enqueued_at, null);
  t.deepEqual(await fixture.queues.mail.stateOf(outboxJobId({ id, generation: 0 })), {
    state: 'waiting',
  });
});

test.serial('a message younger than the grace, or not due yet, is left alone', async (t) => {
  const { fixture, start } = await setUp(t);
  const young = await fixture.promiseConfirmation({
    message: { createdAt: `now() + interval '1 minute'` },
  });
  const early = await fixture.promiseConfirmation({
    message: { ...old, availableAt: `now() + interval '1 hour'` },
  });
  const due = await fixture.promiseConfirmation({ message: old });
  start();
  await eventually(async () => (await fixture.messageOf(due.id)).state === 'enqueued');
  t.is((await fixture.messageOf(young.id)).state, 'pending');
  t.is((await fixture.messageOf(early.id)).state, 'pending');
});

test.serial('settled and dead messages are left alone', async (t) => {
  const { fixture, start } = await setUp(t);
  const settled = await fixture.promiseConfirmation({ message: { ...old, state: 'settled' } });
  const dead = await fixture.promiseConfirmation({ message: { ...old, state: 'dead' } });
  const due = await fixture.promiseConfirmation({ message: old });
  start();
  await eventually(async () => (await fixture.messageOf(due.id)).state === 'enqueued');
  for (const { id } of [settled, dead]) {
    t.is((await fixture.queues.mail.stateOf(outboxJobId({ id, generation: 0 }))).state, 'unknown');
  }
});

test.serial(
  'more than a batch goes without a pause, and two relays share it without doing anything twice',
  async (t) => {
    const { start, warnings } = await setUp(t);
    await context.rows(
      `insert into outbox (id, name, payload, trace_id, created_at, available_at)
     select gen_random_uuid(), 'send-confirmation-mail', '{"v":1,"confirmation_id":"x"}', 'many', ${past(10)}, ${past(10)}
       from generate_series(1, 250)`,
    );
    const second = await setUp(t);
    start();
    second.start();
    await eventually(async () => {
      const [row] = await context.rows<{ left: number }>(
        `select count(*)::int as left from outbox where trace_id = 'many' and state = 'pending'`,
      );
      return row?.left === 0;
    });
    const [counts] = await context.rows<{ least: number; most: number }>(
      `select min(enqueue_count) as least, max(enqueue_count) as most from outbox where trace_id = 'many'`,
    );
    t.deepEqual(counts, { least: 1, most: 1 });
    t.deepEqual(warnings(), []);
  },
);

for (const how of ['refuse', 'silence'] as const) {
  test.serial(
    `with Redis down (${how}) messages stay pending, one warning is told, and all goes on when it is back`,
    async (t) => {
      const proxy = await openTcpProxy(t, context.redisUrl);
      const { fixture, start, warnings } = await setUp(t, proxy.urlFor(context.redisUrl));
      await proxy[how]();
      const { id } = await fixture.promiseConfirmation({ message: old });
      start();
      await eventually(() => warnings().length > 0);
      const row = await fixture.messageOf(id);
      t.like(row, { state: 'pending', enqueue_count: 0 });
      await proxy.restore();
      await eventually(async () => (await fixture.messageOf(id)).state === 'enqueued');
      t.deepEqual(warnings(), ['relay failed; messages wait in the outbox']);
      t.true(fixture.messages().includes('relay recovered'));
    },
  );
}

test.serial(
  'a job that is there already is not made twice: the message is only marked',
  async (t) => {
    const { fixture, start } = await setUp(t);
    const { id } = await fixture.promiseConfirmation({ message: old });
    await fixture.queues.mail.add({
      id: outboxJobId({ id, generation: 0 }),
      contract: anyJob('mail', 'send-confirmation-mail'),
      data: { first: true },
    });
    start();
    await eventually(async () => (await fixture.messageOf(id)).state === 'enqueued');
    t.is((await fixture.messageOf(id)).enqueue_count, 1);
  },
);

test.serial(
  'a message whose job’s key holds another type of data goes, and so do its neighbours',
  async (t) => {
    const redis = new Redis(context.redisUrl);
    t.teardown(() => redis.disconnect());
    const { fixture, start, warnings } = await setUp(t);
    const promised = [];
    for (let i = 0; i < 3; i += 1)
      promised.push(await fixture.promiseConfirmation({ message: old }));
    const [before, spoilt, after] = promised.map(({ id }) => id);
    const jobId = outboxJobId({ id: spoilt ?? '', generation: 0 });
    await redis.set(`{mail}:mail:${jobId}`, 'junk');
    start();
    for (const id of [before, spoilt, after])
      await eventually(async () => (await fixture.messageOf(id ?? '')).state === 'enqueued');
    t.is((await fixture.queues.mail.stateOf(jobId)).state, 'waiting');
    t.is((await fixture.messageOf(before ?? '')).enqueue_count, 1);
    t.deepEqual(warnings(), ['relay failed; messages wait in the outbox']);
  },
);

test.serial(
  'when Redis has lost its data everything is looked after, once; at the start nothing is',
  async (t) => {
    const { fixture, start, losses } = await setUp(t);
    start();
    const { id } = await fixture.promiseConfirmation({ message: old });
    await eventually(async () => (await fixture.messageOf(id)).state === 'enqueued');
    t.is(losses(), 0);
    await loseRedisData();
    await eventually(() => losses() > 0);
    const next = await fixture.promiseConfirmation({ message: old });
    await eventually(async () => (await fixture.messageOf(next.id)).state === 'enqueued');
    t.is(losses(), 1);
  },
);

test.serial('while Redis has no room, messages wait in the outbox; it is told once', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  await redis.fillTo(0.8);
  const { fixture, start } = await setUp(t, redis.url);
  const { id } = await fixture.promiseConfirmation({ message: old });
  start();
  await eventually(() => toldOfRoom(fixture.messages()).length === 1);
  t.is((await fixture.messageOf(id)).state, 'pending');
  await redis.client.del(await redis.client.keys('filling:*'));
  await eventually(async () => (await fixture.messageOf(id)).state === 'enqueued');
  // The row is there before the relay hears that it is.
  await eventually(() => toldOfRoom(fixture.messages()).length > 1);
  t.deepEqual(toldOfRoom(fixture.messages()), [
    'mail queue full; messages wait in the outbox',
    'mail queue accepts jobs again',
  ]);
});

const toldOfRoom = (messages: unknown[]): unknown[] =>
  messages.filter((message) => String(message).includes('mail queue'));

test.serial('stopped, it takes nothing more', async (t) => {
  const { fixture, start } = await setUp(t);
  const relay = start();
  await relay.stop();
  await relay.stop();
  const { id } = await fixture.promiseConfirmation({ message: old });
  const other = await setUp(t);
  t.is((await fixture.messageOf(id)).state, 'pending');
  other.start();
  await eventually(async () => (await fixture.messageOf(id)).state === 'enqueued');
});

test.serial('a Redis that refuses the jobs is told until it takes them', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const { fixture, start, problem } = await setUp(t, redis.url);
  await redis.client.call('ACL', 'SETUSER', 'default', '-xadd');
  const { id } = await fixture.promiseConfirmation({ message: old });
  start();
  const said = 'Redis refuses commands: NOPERM (the user lacks rights)';
  await eventually(async () => (await problem()) === said, { of: said });
  t.is((await fixture.messageOf(id)).state, 'pending');

  await redis.client.call('ACL', 'SETUSER', 'default', '+xadd');
  await eventually(async () => (await problem()) === undefined);
  t.is((await fixture.messageOf(id)).state, 'enqueued');
});

async function setUp(scope: Scope, redisUrl?: string) {
  const fixture = await openFixture(scope, context, redisUrl);
  let losses = 0;
  const faults = createDependencyFaults();
  return {
    fixture,
    problem: async () => (await faults.checks.redis_refuses()).problem,
    losses: () => losses,
    warnings: () =>
      fixture.lines
        .filter(({ level, msg }) => level === 40 && String(msg).includes('relay'))
        .map(({ msg }) => msg),
    start() {
      const relay = startRelay(
        {
          metrics: createMetrics('worker'),
          faults,
          ...fixture,
          failpoint: () => undefined,
          onDataLoss: () => {
            losses += 1;
          },
        },
        { intervalMs: 30, graceMs: 2_000 },
      );
      scope.teardown(() => relay.stop());
      return relay;
    },
  };
}

async function loseRedisData(): Promise<void> {
  const redis = new Redis(context.redisUrl);
  await redis.flushdb();
  await redis.set(`test:${randomUUID()}`, 'another life');
  redis.disconnect();
}
