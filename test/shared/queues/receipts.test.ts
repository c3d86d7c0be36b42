import test from 'ava';
import { Redis } from 'ioredis';
import { createReceipts } from '../../../shared/queues/receipts.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';

shareProcess();

const context = useContext();

function openRedis(scope: Scope): Redis {
  const redis = new Redis(context.redisUrl);
  scope.teardown(() => redis.disconnect());
  return redis;
}

test.serial('what has a receipt is found, however many are asked for', async (t) => {
  const receipts = createReceipts(openRedis(t));
  const ids = Array.from({ length: 1_201 }, (_, i) => `l-x-${i}`);
  t.deepEqual([...(await receipts.find(ids))], []);
  for (const id of ['l-x-0', 'l-x-700', 'l-x-1200', 'l-x-700']) await receipts.write(id);
  t.deepEqual([...(await receipts.find(ids))], ['l-x-0', 'l-x-700', 'l-x-1200']);
  t.deepEqual([...(await receipts.find([]))], []);
});

test.serial('receipts are kept for three days, and a hundred thousand of them', async (t) => {
  const redis = openRedis(t);
  const receipts = createReceipts(redis);
  const key = '{logs}:shipped';
  const day = 86_400_000;
  await redis.zadd(key, Date.now() - 3.1 * day, 'old', Date.now() - 2.9 * day, 'kept');
  await receipts.write('new');
  t.deepEqual([...(await receipts.find(['old', 'kept', 'new']))], ['kept', 'new']);

  const now = Date.now() - 1_000;
  for (let start = 0; start < 100_000; start += 10_000) {
    const some = Array.from({ length: 10_000 }, (_, i) => [String(now), `l-y-${start + i}`]);
    await redis.zadd(key, ...some.flat());
  }
  await createReceipts(redis).write('newest');
  t.is(await redis.zcard(key), 100_000);
  t.deepEqual([...(await receipts.find(['kept', 'newest']))], ['newest']);
});

test.serial('a receipt that Redis refuses is a failure', async (t) => {
  const redis = openRedis(t);
  await redis.del('{logs}:shipped');
  await redis.set('{logs}:shipped', 'of another kind');
  t.teardown(() => redis.del('{logs}:shipped'));
  await t.throwsAsync(createReceipts(redis).write('l-z-0'), { message: /WRONGTYPE/ });
});
