import { once } from 'node:events';
import test from 'ava';
import {
  isDemoted,
  openFailFastRedis,
  reconnectDelayMs,
  redisAddress,
} from '../../../shared/queues/redis-client.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { openOwnRedis } from '../../helpers/own-redis.js';
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
  await eventually(() => redis.ping());
  t.is(await redis.get('a'), null, 'a refused command is not done later');
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
  const { redis, proxy } = await openThroughProxy(t, { leaveAfterMs: 200 });
  await eventually(() => redis.ping());
  proxy.silence();
  const answers = await Promise.allSettled([redis.ping(), redis.incr('asked'), redis.ping()]);
  t.deepEqual(
    answers.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
  t.not(redis.status, 'ready');
  await t.throwsAsync(redis.ping(), { message: /isn't writeable/ });
  await proxy.restore();
  t.is(await eventually(() => redis.ping()), 'PONG');
});

async function openThroughProxy(
  scope: Scope,
  { isDownFirst = false, ...options }: { isDownFirst?: boolean; leaveAfterMs?: number } = {},
) {
  const proxy = await openTcpProxy(scope, context.redisUrl);
  if (isDownFirst) await proxy.refuse();
  const errors: Error[] = [];
  const redis = openFailFastRedis(
    proxy.urlFor(context.redisUrl),
    (error) => void errors.push(error),
    options,
  );
  scope.teardown(() => redis.disconnect());
  return { redis, proxy, errors };
}
