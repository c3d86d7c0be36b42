import { randomBytes, randomUUID } from 'node:crypto';
import test from 'ava';
import { openQueues } from '../../../shared/queues/queues.js';
import type { Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openOwnRedis } from '../../helpers/own-redis.js';
import { anyJob } from '../../helpers/any-job.js';

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
  let added = 0;
  for (; await queues.room.logs.has(job.length); added++)
    await queues.logs.add({
      id: `l-${randomUUID()}`,
      contract: anyJob('logs', 'ship-log-batch'),
      data: { job },
    });
  t.true(added > 10);
  const share = await redis.usedShare();
  t.true(share < 0.65, `${share}`);
});

test('a queue that holds enough jobs takes no more', async (t) => {
  const { queues, isFullFor } = await setUp(t);
  const add = () =>
    queues.logs.add({
      id: `l-${randomUUID()}`,
      contract: anyJob('logs', 'ship-log-batch'),
      data: { v: 1 },
    });
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 100 }, add));
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
