import { EventEmitter, once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { createFewPerTurn } from '../../api/http/few-per-turn.js';
import {
  createHashLimiter,
  hashConcurrency,
  type HashClient,
} from '../../api/passwords/hash-limiter.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { createClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { openOwnRedis } from '../helpers/own-redis.js';
import type { Problem } from '../helpers/problem.js';
import { startApi } from '../helpers/processes.js';

const context = useContext();
// A hash costs so much that a few dozen requests are more than there are places for.
const api = useApi(context, { env: { BCRYPT_COST: '12', TRUST_PROXY: '1' } });

let admin: TestAdmin;
test.serial.before('make an admin', async () => {
  admin = await api.admins.confirmedAdmin();
});

test('S25 hashes leave a core to other work, and two threads to files and look-ups of names', (t) => {
  for (const [cores, threads, atOnce] of [
    [1, 4, 1],
    [2, 4, 1],
    [4, 4, 2],
    [16, 4, 2],
    [16, 128, 15],
    [8, 1, 1],
  ] as const)
    t.is(hashConcurrency({ cores, threads }), atOnce, `${cores} cores, ${threads} threads`);
});

test.serial(
  'S25 a flood of logins starves neither other requests nor itself: what cannot be compared soon is refused at once',
  async (t) => {
    // Connections are made before the flood, as in the middle of a day.
    await Promise.all(Array.from({ length: 10 }, () => admin.client.get('/users')));
    const flood = Array.from({ length: 40 * availableParallelism() }, () =>
      api.client.post<Problem>('/auth/login', {
        email: context.uniqueAddress(),
        password: 'a password of nobody at all',
      }),
    );
    let isOver = false;
    const answers = Promise.all(flood).finally(() => {
      isOver = true;
    });
    let served = 0;
    while (!isOver && served < 100) {
      const others = [api.client.get('/health/live'), admin.client.get('/users')];
      for (const { status } of await Promise.all(others)) t.is(status, 200);
      served += 1;
    }
    t.true(served >= 10, `${served} rounds of other requests were answered during the flood`);

    const refused = (await answers).filter(({ status }) => status !== 401);
    t.true(refused.length > 0 && refused.length < flood.length, `${refused.length} were refused`);
    for (const { status, body, headers } of refused) {
      t.deepEqual([status, body.code], [503, 'overloaded']);
      t.regex(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
    }
    const again = await eventually(async () => {
      const { email, password } = admin;
      return (await api.client.post('/auth/login', { email, password })).status === 200;
    });
    t.true(again);
  },
);

test.serial(
  'S24 S25 a flood from the /64s of one IPv6 /56 leaves the logins of others answered',
  async (t) => {
    // Limits by number are out of the way: what is tried here is who waits for a hash.
    const { client } = api;
    const { email, password } = admin;
    const flood = floodLogins(12, (i) => `2001:db8:0:1${i.toString(16).padStart(2, '0')}::1`);
    t.teardown(flood.end);
    await flood.refused;
    const statuses: number[] = [];
    for (const from of ['198.51.100.7', '2001:db8:1::1', '203.0.113.9', '198.51.100.7']) {
      const headers = { 'x-forwarded-for': from };
      statuses.push((await client.post('/auth/login', { email, password }, { headers })).status);
    }
    await flood.end();
    t.deepEqual(statuses, [200, 200, 200, 200]);
  },
);

test.serial(
  'S25 a login that no hash can be queued for is refused before it is counted, and before its body is looked at',
  async (t) => {
    const ask = (from: string, path: string, body: string) =>
      api.client.request<Problem>('POST', path, {
        headers: { 'x-forwarded-for': from, 'content-type': 'application/json' },
        body,
      });
    const [flooding, calm] = ['198.51.100.20', '198.51.100.21'];
    const flood = floodLogins(40, () => flooding);
    t.teardown(flood.end);
    for (const path of ['/auth/login', '/auth/register']) {
      const refused = await eventually(async () => {
        const answer = await ask(flooding, path, 'no JSON');
        return answer.status === 503 && answer;
      });
      t.is(refused.body.code, 'overloaded', path);
      t.regex(refused.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
      t.is(refused.headers.get('ratelimit-remaining'), null, 'not counted');
      const { status, headers } = await ask(calm, path, 'no JSON');
      t.is(status, 400, 'there is room for another client');
      t.truthy(headers.get('ratelimit-remaining'));
    }
    const otherSpelling = await eventually(async () => {
      const headers = { 'x-forwarded-for': flooding, 'content-type': 'application/json' };
      const init = { method: 'POST', headers, body: 'no JSON' };
      const response = await fetch(`${api.client.baseUrl}/AUTH/Login/`, init);
      return response.status === 503 && response;
    });
    t.is(otherSpelling.headers.get('ratelimit-remaining'), null);
    await flood.end();
  },
);

test.serial(
  'S25 a flood of readiness requests asks Redis no more often than a few do',
  async (t) => {
    const redis = await openOwnRedis(t, { maxMemory: '64mb' });
    const { url } = await startApi(context, { scope: t, env: { REDIS_URL: redis.url } });
    const client = createClient(url);
    await eventually(async () => (await client.get('/health/ready')).status === 200);
    await redis.client.config('RESETSTAT');
    // So that they come while one is being answered.
    await redis.client.client('PAUSE', 500);
    await Promise.all(Array.from({ length: 100 }, () => client.get('/health/ready')));
    const [, calls] = /cmdstat_set:calls=(\d+)/.exec(await redis.client.info('commandstats')) ?? [];
    // Each check takes two.
    t.true(Number(calls) > 0 && Number(calls) < 150, `${calls} for 100 requests`);
  },
);

/** Logins of nobody, so many at a time: one that is refused comes again when another has been compared. */
function floodLogins(atOnce: number, ipOf: (i: number) => string) {
  const events = new EventEmitter().setMaxListeners(0);
  const refused = once(events, 'refused');
  const ended = once(events, 'ended');
  let isOver = false;
  const streams = Array.from({ length: atOnce }, async (_, i) => {
    const headers = { 'x-forwarded-for': ipOf(i) };
    while (!isOver) {
      const json = { email: context.uniqueAddress(), password: 'a password of nobody at all' };
      const { status } = await api.client.post('/auth/login', json, { headers });
      const isRefused = status === 503;
      events.emit(isRefused ? 'refused' : 'compared');
      if (isRefused) await Promise.race([once(events, 'compared'), ended]);
    }
  });
  return {
    refused,
    async end(): Promise<void> {
      isOver = true;
      events.emit('ended');
      await Promise.all(streams);
    },
  };
}

test('S25 requests that arrive together start a few in one turn of the event loop, in their order', async (t) => {
  const fewPerTurn = createFewPerTurn(3);
  const started: number[] = [];
  for (let i = 0; i < 8; i++) fewPerTurn(() => started.push(i));
  t.deepEqual(started, [0, 1, 2]);
  await nextTurn();
  t.deepEqual(started, [0, 1, 2, 3, 4, 5]);
  fewPerTurn(() => started.push(8));
  t.deepEqual(started.slice(6), [], 'a later one does not overtake');
  await nextTurn();
  t.deepEqual(started, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  await nextTurn();
  fewPerTurn(() => started.push(9));
  t.is(started.at(-1), 9, 'nothing waits while there are few');
});

test('S25 whether a client has room is known without any account, and as exact as for a stranger', async (t) => {
  const { hold, releaseAll, requireRoom } = holdPlaces(slow);
  const stranger = { isKnownNetwork: () => Promise.resolve(false) };
  const owner = { isKnownNetwork: () => Promise.resolve(true) };
  requireRoom({ ip: '198.51.100.1' });
  for (let i = 0; i < 2; i++) t.true(await hold({ ip: '198.51.100.1', ...stranger }));
  const share = t.throws<AppError>(() => requireRoom({ ip: '198.51.100.1' }));
  t.is(share.code, 'overloaded');
  t.regex(share.headers['Retry-After'] ?? '', /^[1-9]\d*$/);
  t.true(await hold({ ip: '198.51.100.2', ...stranger }));
  t.notThrows(() => requireRoom({ ip: '198.51.100.3' }), 'it may be of a known network');
  for (let i = 4; i < 6; i++) t.true(await hold({ ip: `198.51.100.${i}`, ...owner }));
  t.is(t.throws<AppError>(() => requireRoom({ ip: '203.0.113.1' })).code, 'overloaded');
  await releaseAll();
  t.notThrows(() => requireRoom({ ip: '198.51.100.1' }));
});

/** One hash takes a second: five places, of which two are for known networks. */
const slow = { hashMs: 1_000, concurrency: 1 };

test('S25 once half of the places are taken, one client has two of them, however many addresses it has', async (t) => {
  for (const addressOf of [
    () => '198.51.100.7',
    (i: number) => `2001:db8:0:1:${i}::1`,
    (i: number) => `2001:db8:0:${(0x100 + i).toString(16)}::1`,
    (i: number) => `2001:db8:0:${i.toString(16)}00::${i}`,
  ]) {
    const { hold, releaseAll } = holdPlaces(slow);
    const held = await Promise.all(Array.from({ length: 9 }, (_, i) => hold({ ip: addressOf(i) })));
    t.is(held.filter(Boolean).length, 2, addressOf(1));
    t.true(await hold({ ip: '203.0.113.1' }), 'the next one finds a place');
    await releaseAll();
    t.true(await hold({ ip: addressOf(1) }), 'a place that was given back is free');
    await releaseAll();
  }
});

test('S25 while there is room, an office behind one address is not held up', async (t) => {
  const { hold, releaseAll } = holdPlaces({ hashMs: 100, concurrency: 1 });
  const held = await Promise.all(Array.from({ length: 20 }, () => hold({ ip: '198.51.100.7' })));
  // Of 26 places 7 are for known networks; it has half of the others.
  t.is(held.filter(Boolean).length, 10);
  t.true(await hold({ ip: '203.0.113.1' }));
  await releaseAll();
});

test('S24 S25 the last places are for networks that the owner has logged in from, and only then is asked', async (t) => {
  const { hold, releaseAll } = holdPlaces(slow);
  let asked = 0;
  const from = (ip: string, isKnown: boolean): HashClient => ({
    ip,
    async isKnownNetwork() {
      asked += 1;
      return isKnown;
    },
  });
  for (let i = 1; i <= 3; i++) t.true(await hold(from(`198.51.100.${i}`, false)));
  t.is(asked, 0);
  for (let i = 4; i <= 9; i++) t.false(await hold(from(`198.51.100.${i}`, false)));
  t.is(asked, 6);
  t.false(await hold({ ip: '198.51.100.10' }), 'nobody vouches for it');
  const known = await Promise.all([1, 2, 3].map((i) => hold(from(`203.0.113.${i}`, true))));
  t.is(known.filter(Boolean).length, 2, 'as many as there are');
  asked = 0;
  t.false(await hold(from('203.0.113.9', true)));
  t.is(asked, 0, 'a full queue is not worth a look-up');
  await releaseAll();
});

/** Takes places, each until all are given back. */
function holdPlaces(options: Parameters<typeof createHashLimiter>[0]) {
  const limiter = createHashLimiter(options);
  let ends: (() => void)[] = [];
  let settled: Promise<void>[] = [];
  return {
    requireRoom: limiter.requireRoom,
    /** Resolves to false when it is refused. */
    hold: (client: HashClient): Promise<boolean> =>
      new Promise((resolve) => {
        const work = (): Promise<void> => {
          resolve(true);
          return new Promise((end) => ends.push(end));
        };
        const reserved = limiter.reserve(work, client).catch((error: unknown) => {
          if (!(error instanceof AppError) || error.code !== 'overloaded') throw error;
          resolve(false);
        });
        settled.push(reserved);
      }),
    async releaseAll(): Promise<void> {
      for (const end of ends) end();
      await Promise.all(settled);
      ends = [];
      settled = [];
    },
  };
}
