import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import type { Redis } from 'ioredis';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { oneWritePerTurn } from '../../api/rate-limits/one-write-per-turn.js';
import { createRateLimiter, type RateLimiter } from '../../api/rate-limits/rate-limiter.js';
import { deriveKeyRing } from '../../shared/crypto/keys.js';
import { openFailFastRedis } from '../../shared/queues/redis-client.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { SECRET_KEY } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';

shareProcess();

const context = useContext();

const POINTS = 3;
let redis: Redis;
test.serial.before('connect', async () => {
  redis = oneWritePerTurn(openFailFastRedis(context.redisUrl, () => undefined));
  context.teardown(() => redis.disconnect());
  await eventually(() => redis.status === 'ready');
});

const { current: key } = deriveKeyRing({ current: SECRET_KEY, previous: [] }, 'throttle');
const newName = (): string => `test-${randomBytes(6).toString('hex')}`;
const limiterOf = (name: string, remembersRefusals: boolean): RateLimiter =>
  createRateLimiter(
    { redis, key, scale: 1, metrics: createMetrics('api') },
    { name, points: POINTS, seconds: 60 },
    { remembersRefusals },
  );
const countIn = async (name: string): Promise<number> => {
  const [counter] = await redis.keys(`{throttle}:${name}:*`);
  return Number(await redis.get(counter ?? ''));
};

test.serial(
  'S51 a refused client costs Redis nothing more until its limit resets, on each instance',
  async (t) => {
    const name = newName();
    const [here, there] = [limiterOf(name, true), limiterOf(name, true)];
    for (let i = 0; i < POINTS; i++) t.false((await here.consume('client')).isExceeded);
    const refusals = [];
    for (const limiter of [here, there])
      for (let i = 0; i < 5; i++) refusals.push(await limiter.consume('client'));
    t.true(refusals.every(({ isExceeded, remaining }) => isExceeded && remaining === 0));
    t.true(refusals.every(({ resetSeconds }) => resetSeconds > 50 && resetSeconds <= 60));
    t.deepEqual(
      refusals.map(({ isFirstRefusal }) => isFirstRefusal),
      [true, ...Array.from({ length: 9 }, () => false)],
    );
    t.is(await countIn(name), POINTS + 2, 'one refusal was counted on each');
    t.false((await here.consume('another client')).isExceeded);
  },
);

test.serial('S14 a limit that a right password resets remembers no refusal', async (t) => {
  const name = newName();
  const [here, there] = [limiterOf(name, false), limiterOf(name, false)];
  for (let i = 0; i <= POINTS; i++) await there.consume('account');
  t.true((await there.consume('account')).isExceeded);
  await here.reset('account');
  t.false((await there.consume('account')).isExceeded);
});

test.serial('what is counted in one turn of the event loop leaves in one write', async (t) => {
  const limiter = limiterOf(newName(), true);
  await limiter.consume('warm');
  await nextTurn();
  const { stream } = redis;
  const counted = Array.from({ length: 20 }, (_, i) => limiter.consume(`client ${i}`));
  t.is(stream.writableCorked, 1);
  t.true(stream.writableLength > 20 * 100, 'nothing has left yet');
  t.is((await Promise.all(counted)).filter(({ isExceeded }) => isExceeded).length, 0);
  t.is(stream.writableCorked, 0);
});
