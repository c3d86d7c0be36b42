import { once } from 'node:events';
import test from 'ava';
import { openQueues } from '../../../shared/queues/queues.js';
import {
  connectRedis,
  isDemoted,
  openFailFastRedis,
  reconnectDelayMs,
  redisAddress,
} from '../../../shared/queues/redis-client.js';
import type { ReplyTime } from '../../../shared/queues/timed-redis.js';
import { refusalOfRedis } from '../../../shared/queues/redis-refusals.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openOwnRedis, openRedisCluster, type OwnRedis } from '../../helpers/own-redis.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

const context = useContext();

test('a URL is read into host, port, credentials and database', (t) => {
  t.deepEqual(redisAddress('redis://cache.test'), { host: 'cache.test', port: 6379, db: 0 });
  t.deepEqual(redisAddress('redis://me:p%40ss@10.0.0.1:7000/5'), {
    host: '10.0.0.1',
    port: 7000,
    username: 'me',
    password: 'p@ss',
    db: 5,
  });
  t.deepEqual(redisAddress('redis://:secret@cache.test/'), {
    host: 'cache.test',
    port: 6379,
    password: 'secret',
    db: 0,
  });
  t.is(redisAddress('redis://[::1]:6380').host, '::1');
});

test('rediss is TLS, with the server’s name to be checked', (t) => {
  t.deepEqual(redisAddress('rediss://cache.test:6380').tls, { servername: 'cache.test' });
  t.is(redisAddress('redis://cache.test').tls, undefined);
});

test('reconnecting waits longer each time, never less than 75 ms, never more than 5 s', (t) => {
  for (let tries = 1; tries <= 50; tries++) {
    const delayMs = reconnectDelayMs(tries);
    const fullMs = Math.min(100 * 2 ** (tries - 1), 5_000);
    t.true(delayMs >= fullMs * 0.75 && delayMs <= fullMs, `${delayMs} ms at try ${tries}`);
  }
});

test('two clients that lost the same server do not come back at the same moment', (t) => {
  t.true(new Set(Array.from({ length: 20 }, () => reconnectDelayMs(5))).size > 1);
});

test('with Redis gone a command is refused instead of waiting, and works again when Redis is back', async (t) => {
  const { redis, proxy, errors } = await openThroughProxy(t);
  await eventually(() => redis.ping());
  await proxy.refuse();
  await t.throwsAsync(redis.set('a', '1'));
  await t.throwsAsync(redis.get('a'));
  await proxy.restore();
  const { value } = await eventually(async () => ({ value: await redis.get('a') }));
  t.is(value, null, 'a refused command is not done later');
  t.true(errors.length > 0);
});

test('a client that was opened while Redis was down refuses too, and recovers by itself', async (t) => {
  const { redis, proxy } = await openThroughProxy(t, { isDownFirst: true });
  await t.throwsAsync(redis.ping());
  await proxy.restore();
  t.is(await eventually(() => redis.ping()), 'PONG');
});

test('with Redis silent a command fails by time-out, before its caller’s patience ends', async (t) => {
  const { redis, proxy } = await openThroughProxy(t);
  await eventually(() => redis.ping());
  proxy.silence();
  await t.throwsAsync(redis.ping(), { message: /timed out/i });
});

for (const [who, replyTime] of [
  ['that fails its commands', { replyMs: 200 }],
  ['that leaves', { replyMs: 200, leaves: true }],
] as const) {
  test(`in a process that stood still a client ${who} finds the replies that came meanwhile`, async (t) => {
    const redis = openFailFastRedis(context.redisUrl, () => undefined, replyTime);
    t.teardown(() => redis.disconnect());
    await eventually(() => redis.ping());
    const answer = redis.ping();
    standStill(1_000);
    t.is(await answer, 'PONG');
  });
}

test('a connection whose other end has vanished is replaced by a new one', async (t) => {
  const { redis, proxy } = await openThroughProxy(t);
  await eventually(() => redis.ping());
  proxy.strand();
  await t.throwsAsync(redis.ping(), { message: /timed out/i });
  t.is(await eventually(() => redis.ping()), 'PONG');
});

test('a server that has become a replica is left: behind its name there may be another primary', async (t) => {
  const own = await openOwnRedis(t, { maxMemory: '64mb' });
  const redis = openFailFastRedis(own.url, () => undefined);
  t.teardown(() => redis.disconnect());
  await eventually(() => redis.set('a', '1'));
  await own.client.replicaof('127.0.0.1', '1');
  const left = once(redis, 'close');
  await t.throwsAsync(redis.set('a', '2'), { message: /READONLY/ });
  await left;
  await own.client.replicaof('NO', 'ONE');
  t.is(await eventually(() => redis.set('a', '3')), 'OK');
});

test('other refusals are no reason to connect again', (t) => {
  t.true(isDemoted(new Error("READONLY You can't write against a read only replica.")));
  t.true(isDemoted(new Error('ERR Error running script: -READONLY You can not write')));
  t.false(isDemoted(new Error('OOM command not allowed')));
  t.false(isDemoted(new Error('ERR the word READONLY in a value')));
});

test('a silent Redis is left by a client that may do so: all that was asked fails, then nobody waits', async (t) => {
  const { redis, proxy } = await openThroughProxy(t, { replyTime: { replyMs: 200, leaves: true } });
  await eventually(() => redis.ping());
  // At once: it soon connects again, to what is silent as well.
  const asksAfterwards = new Promise((resolve) => redis.once('close', resolve)).then(() =>
    redis.ping(),
  );
  const isRefused = t.throwsAsync(asksAfterwards, { message: /isn't writeable/ });
  proxy.silence();
  const answers = await Promise.allSettled([redis.ping(), redis.incr('asked'), redis.ping()]);
  t.deepEqual(
    answers.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
  await isRefused;
  await proxy.restore();
  t.is(await eventually(() => redis.ping()), 'PONG');
});

/** As a process does that gets no CPU: neither timers nor sockets are looked at. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function openThroughProxy(
  scope: Scope,
  { isDownFirst = false, replyTime }: { isDownFirst?: boolean; replyTime?: ReplyTime } = {},
) {
  const proxy = await openTcpProxy(scope, context.redisUrl);
  if (isDownFirst) await proxy.refuse();
  const errors: Error[] = [];
  const redis = openFailFastRedis(
    proxy.urlFor(context.redisUrl),
    (error) => void errors.push(error),
    replyTime,
  );
  scope.teardown(() => redis.disconnect());
  return { redis, proxy, errors };
}

const AT_MAX_CLIENTS = 'refuses commands: ERR (maxclients is reached)';
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
  'has as many clients as it may': {
    spoil: ({ client }) => client.config('SET', 'maxclients', '1'),
    said: AT_MAX_CLIENTS,
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

test('a command-line tool tells why Redis took no connection, or that it is not there', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  await redis.client.config('SET', 'maxclients', '1');
  // Redis closes the connection right behind its answer, which a reset may overtake.
  await eventually(
    async () =>
      refusalOfRedis(await connectRedis(redis.url).catch((error: unknown) => error))?.problem ===
      AT_MAX_CLIENTS,
  );
  await redis.stop();
  t.regex((await t.throwsAsync(connectRedis(redis.url)))?.message ?? '', /ECONNREFUSED/);
});

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
  t.deepEqual(refusalOfRedis(moved), {
    kind: 'refuses_commands',
    problem: 'refuses commands: MOVED (a cluster: not supported, use a single shard)',
  });
  t.is(refusalOfRedis(new Error('connect ECONNREFUSED')), undefined);
  const plain = Object.assign(new Error('ERR unknown command'), { name: 'ReplyError' });
  t.is(refusalOfRedis(plain)?.problem, 'refuses commands: ERR');
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
    return refusalOfRedis(error)?.problem;
  }
}
