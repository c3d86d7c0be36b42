import test from 'ava';
import { openQueues } from '../../../shared/queues/queues.js';
import { refusalOfRedis } from '../../../shared/queues/redis-refusals.js';
import type { Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openOwnRedis, openRedisCluster, type OwnRedis } from '../../helpers/own-redis.js';

const CLUSTER = 'is a cluster: not supported, use a single shard';

/** How a Redis is made to refuse, and what is said of it. */
const refusals: Readonly<
  Record<string, { spoil: (redis: OwnRedis) => Promise<unknown>; said: string }>
> = {
  'has no memory left': {
    spoil: ({ client }) => client.config('SET', 'maxmemory', '1mb'),
    said: 'refuses commands: OOM (it has no memory left)',
  },
  'is a replica': {
    spoil: ({ client }) => client.replicaof('127.0.0.1', 1),
    said: 'refuses commands: READONLY (a replica)',
  },
  'has too few replicas': {
    spoil: ({ client }) => client.config('SET', 'min-replicas-to-write', '1'),
    said: 'refuses commands: NOREPLICAS (it has too few replicas)',
  },
  'wants a password': {
    spoil: ({ client }) => client.config('SET', 'requirepass', 'a-password'),
    said: 'refuses commands: NOAUTH (it wants a password)',
  },
  'gives its user no right to write': {
    spoil: ({ client }) => client.call('ACL', 'SETUSER', 'default', '-@write'),
    said: 'refuses commands: NOPERM (the user lacks rights)',
  },
  'gives its user no right to a queue’s keys': {
    spoil: ({ client }) => client.call('ACL', 'SETUSER', 'default', 'resetkeys', '~{mail}:*'),
    said: 'refuses commands: NOPERM (the user lacks rights)',
  },
};

for (const [what, { spoil, said }] of Object.entries(refusals)) {
  test(`a Redis that answers and ${what} is told as one that refuses, with its word`, async (t) => {
    const redis = await openOwnRedis(t, { maxMemory: '64mb' });
    await spoil(redis);
    const queues = open(t, redis.url);
    await eventually(async () => (await refusalIn(queues.ping())) === said, { of: said });
    const problems = await queues.problems();
    t.deepEqual(problems, [{ isSerious: true, problem: `it ${said}` }]);
  });
}

test('a Redis that still loads its data says so, and works when it has', async (t) => {
  const redis = await openOwnRedis(t, {
    maxMemory: '64mb',
    persistent: true,
    // Microseconds; it looks at what clients say after each 1,024 keys.
    settings: { 'key-load-delay': '200' },
  });
  const filling = redis.client.pipeline();
  for (let i = 0; i < 20_000; i++) filling.set(`key:${i}`, 'x');
  await filling.exec();
  await redis.stop();
  const queues = open(t, redis.url);
  const started = redis.start();
  const said = 'refuses commands: LOADING (it loads its data)';
  await eventually(async () => (await refusalIn(queues.ping())) === said, { of: said });
  await started;
  await eventually(() => queues.ping().then(() => true));
  t.deepEqual(await queues.problems(), []);
});

test('a Redis that takes writes again is told so at once', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const queues = open(t, redis.url);
  await eventually(() => queues.ping().then(() => true));
  await redis.client.config('SET', 'min-replicas-to-write', '1');
  t.regex((await refusalIn(queues.ping())) ?? '', /NOREPLICAS/);
  await redis.client.config('SET', 'min-replicas-to-write', '0');
  await t.notThrowsAsync(queues.ping());
});

test('each node of a cluster is told as such, whichever queue it holds (field: bull #2615)', async (t) => {
  const cluster = await openRedisCluster(t);
  for (const url of [cluster.mailUrl, cluster.logsUrl]) {
    const queues = open(t, url);
    await eventually(async () => (await refusalIn(queues.ping())) === CLUSTER, { of: url });
    t.deepEqual(await queues.problems(), [{ isSerious: true, problem: `it ${CLUSTER}` }]);
  }
  const apart = open(t, cluster.mailUrl, cluster.logsUrl);
  await eventually(async () => (await refusalIn(apart.ping('logs'))) === CLUSTER);
});

test('whatever says MOVED is a cluster, though it does not say so of itself', (t) => {
  const moved = Object.assign(new Error('MOVED 5137 10.0.0.2:6379'), { name: 'ReplyError' });
  t.is(
    refusalOfRedis(moved),
    'refuses commands: MOVED (a cluster: not supported, use a single shard)',
  );
  t.is(refusalOfRedis(new Error('connect ECONNREFUSED')), undefined);
  const plain = Object.assign(new Error('ERR unknown command'), { name: 'ReplyError' });
  t.is(refusalOfRedis(plain), 'refuses commands: ERR');
});

function open(scope: Scope, url: string, logsUrl = url) {
  const queues = openQueues({ url, logsUrl }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  return queues;
}

async function refusalIn(work: Promise<void> | undefined): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return refusalOfRedis(error);
  }
}
