import { randomUUID, randomBytes } from 'node:crypto';
import test from 'ava';
import { Redis } from 'ioredis';
import { logRedisErrors } from '../../../shared/queues/log-redis-errors.js';
import { openQueues, type Queues } from '../../../shared/queues/queues.js';
import { anyJob } from '../../helpers/any-job.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openOwnRedis } from '../../helpers/own-redis.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

shareProcess();

const context = useContext();

// It empties the Redis that the others use: not beside them.
test.serial('Redis’s data keeps its name until it is lost', async (t) => {
  const [one, other] = [open(t).queues, open(t).queues];
  const epoch = await eventually(() => one.epoch());
  t.regex(epoch, /^[0-9a-f-]{36}$/);
  t.is(await eventually(() => other.epoch()), epoch);

  const redis = new Redis(context.redisUrl);
  await redis.flushdb();
  redis.disconnect();
  const next = await one.epoch();
  t.regex(next, /^[0-9a-f-]{36}$/);
  t.not(next, epoch);
  t.is(await other.epoch(), next);
});

test('two who ask for the name of new data at once get the same one', async (t) => {
  const queues = Array.from({ length: 5 }, () => open(t).queues);
  for (const each of queues) await eventually(() => each.ping().then(() => true));
  const epochs = await Promise.all(queues.map((each) => each.epoch()));
  t.is(new Set(epochs).size, 1);
});

test('who asks right after opening is answered: a connection that is being made is no outage', async (t) => {
  await t.notThrowsAsync(open(t).queues.ping());
});

test('opening with Redis down neither fails nor waits; ping and epoch fail until it is back', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  await proxy.refuse();
  const { queues } = open(t, proxy.urlFor(context.redisUrl));
  await t.throwsAsync(queues.ping());
  await t.throwsAsync(queues.epoch());
  await proxy.restore();
  await eventually(() => queues.ping().then(() => true));
  t.pass();
});

test('an outage is logged once, not at every try to reconnect', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const { queues, messages } = open(t, proxy.urlFor(context.redisUrl));
  await eventually(() => queues.ping().then(() => true));
  for (let outage = 0; outage < 2; outage++) {
    await proxy.refuse();
    await eventually(() => messages().length > 0);
    await proxy.restore();
    await eventually(() => queues.ping().then(() => true));
  }
  t.deepEqual(messages(), ['Redis connection error']);
});

test('an error of Redis is logged without addresses', (t) => {
  const { log, lines } = createRecordingLogger();
  logRedisErrors(log, 'queue consumer Redis error', { 'labels.queue': 'mail' })(
    new Error('no access for ada@x.test'),
  );
  t.like(lines, [
    {
      'labels.queue': 'mail',
      err: { message: 'no access for [address]' },
      msg: 'queue consumer Redis error',
    },
  ]);
});

test('log batches can live in a Redis of their own', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const { log } = createRecordingLogger();
  const queues = openQueues(
    { url: context.redisUrl, logsUrl: proxy.urlFor(context.redisUrl) },
    log,
  );
  t.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  await proxy.refuse();
  const job = { id: `j-${randomUUID()}`, data: {} };
  await t.throwsAsync(queues.logs.add({ ...job, contract: anyJob('logs') }));
  await t.notThrowsAsync(queues.mail.add({ ...job, contract: anyJob('mail') }));
});

test('closing twice, and with Redis gone, is safe', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const { queues } = open(t, proxy.urlFor(context.redisUrl));
  await proxy.refuse();
  await queues.close();
  await queues.close();
  t.pass();
});

function open(scope: Scope, url = context.redisUrl): { queues: Queues; messages: () => unknown[] } {
  const { log, messages } = createRecordingLogger();
  const queues = openQueues({ url, logsUrl: url }, log);
  scope.teardown(() => queues.close());
  return { queues, messages };
}

test('logs stop at 60 % of the memory, mails at 75 %; both go on when there is room again', async (t) => {
  const { queues, redis, isFullFor } = await setUp(t);
  t.true(await queues.room.logs.has(1_000));
  await redis.fillTo(0.65);
  await eventually(() => isFullFor('logs'));
  t.true(await queues.room.mail.has(1_000));
  await redis.fillTo(0.8);
  await eventually(() => isFullFor('mail'));
  await redis.client.flushall();
  await eventually(async () => !(await isFullFor('mail')) && !(await isFullFor('logs')));
  t.pass();
});

test('what is announced counts at once: nobody overshoots between two looks', async (t) => {
  const { queues, redis } = await setUp(t);
  const job = randomBytes(512 * 1_024).toString('base64');
  const hasRoom = () => eventually(async () => [await queues.room.logs.has(job.length)]);
  let added = 0;
  for (; (await hasRoom())[0]; added++) await addOne(queues, { job });
  t.true(added > 10);
  const share = await redis.usedShare();
  t.true(share < 0.65, `${share}`);
});

test('a queue that holds enough jobs takes no more', async (t) => {
  const { queues, isFullFor } = await setUp(t);
  const addTen = () => Promise.all(Array.from({ length: 10 }, () => addOne(queues, { v: 1 })));
  for (let i = 0; i < 100; i++) await addTen();
  await eventually(() => isFullFor('logs'));
  t.true(await queues.room.mail.has(1_000));
});

test('with Redis away nobody knows', async (t) => {
  const { queues, redis } = await setUp(t);
  await redis.stop();
  await eventually(() =>
    queues.room.mail.has(1_000).then(
      () => false,
      () => true,
    ),
  );
  t.pass();
});

test('what an operator should mend about Redis is named', async (t) => {
  const { queues, redis } = await setUp(t);
  await redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  const serious = (await queues.problems()).filter(({ isSerious }) => isSerious);
  t.deepEqual(
    serious.map(({ problem }) => problem),
    [
      'maxmemory-policy is allkeys-lru: it must be noeviction, or Redis evicts jobs when memory is short',
    ],
  );
  await redis.client.config('SET', 'maxmemory-policy', 'noeviction');
  await redis.client.config('SET', 'maxmemory', '0');
  await redis.client.config('SET', 'appendonly', 'no');
  t.deepEqual(
    (await queues.problems()).map(({ problem }) => problem.split(':')[0]),
    ['maxmemory is not set', 'appendonly is off'],
  );
  await redis.client.config('SET', 'maxmemory', '64mb');
  await redis.client.config('SET', 'appendonly', 'yes');
  t.deepEqual(await queues.problems(), []);
});

async function setUp(scope: Scope) {
  const redis = await openOwnRedis(scope, { maxMemory: '32mb' });
  const queues = openQueues({ url: redis.url, logsUrl: redis.url }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  const isFullFor = async (name: 'mail' | 'logs'): Promise<boolean> =>
    !(await queues.room[name].has(0, 0));
  return { redis, queues, isFullFor };
}

/** On a busy machine Redis's answer may come too late: what is added again under its id is there once. */
function addOne({ logs }: Queues, data: Readonly<Record<string, unknown>>): Promise<true> {
  const id = `l-${randomUUID()}`;
  const contract = anyJob('logs', 'ship-log-batch');
  return eventually(() => logs.add({ id, contract, data }).then(() => true));
}
