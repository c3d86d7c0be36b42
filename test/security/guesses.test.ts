import test, { type ExecutionContext } from 'ava';
import { Redis } from 'ioredis';
import { createAdmins, mintedToken, type AdminFactory, type Login } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useSharedContext } from '../helpers/context.js';
import { comparable, type Problem } from '../helpers/problem.js';

const context = useSharedContext('limits');
// Limits as in production, behind a proxy whose word counts: then many clients can be played here.
const api = useApi(context, { env: { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' } });

const tokenFor = mintedToken(context);

const WRONG = 'certainly not the password';
const TRIES_PER_NETWORK = 5;
const TRIES_PER_ACCOUNT = 20;
const TRIES_PER_SESSION = 5;
const TRIES_PER_LINK = 30;
const QUARTER_OF_AN_HOUR = 15 * 60;
/** To a machine that is busy enough Redis may seem gone, and then half as many are counted in memory. */
const atMost = (limit: number): number => limit + Math.floor(limit / 2);

test.serial(
  'S22 after five wrong passwords not even the right one is compared, for a while',
  async (t) => {
    const admin = await people().confirmedAdmin();
    const unknown = people().applicant();
    const ip = '10.21.2.1';
    const refusals = new Set<string>();
    for (const { email, password } of [admin, unknown]) {
      for (let i = 0; i < TRIES_PER_NETWORK; i++)
        t.is((await logIn(ip, email, WRONG)).status, 401, `try ${i + 1}`);
      for (const tried of [WRONG, password]) {
        const answer = await logIn(ip, email, tried);
        t.deepEqual([answer.status, answer.body.code], [429, 'too_many_attempts']);
        refusals.add(comparable(answer));
        const retryAfter = answer.headers.get('retry-after') ?? '';
        t.regex(retryAfter, /^[1-9]\d*$/);
        t.true(Number(retryAfter) <= QUARTER_OF_AN_HOUR);
      }
    }
    t.is(refusals.size, 1, 'known or unknown, right or wrong');
    t.is((await eventsOf(admin.id, 'authn_login_fail')).length, TRIES_PER_NETWORK);
    const [lock, ...others] = await eventsOf(admin.id, 'authn_login_lock');
    t.is(others.length, 0, 'the first refusal alone');
    t.is(lock?.details['limit'], 'password-network');
    const secondsLeft = (Date.parse(lock?.details['until'] ?? '') - Date.now()) / 1_000;
    t.true(secondsLeft > 0 && secondsLeft <= QUARTER_OF_AN_HOUR);

    await letPass(QUARTER_OF_AN_HOUR);
    for (let i = 0; i < 2 * TRIES_PER_NETWORK; i++) {
      const { status } = await logIn(ip, admin.email, admin.password);
      t.is(status, 200, 'a right password gives its try back');
    }
  },
);

test.serial(
  'S22 many who log in side by side with the right password lock nobody out',
  async (t) => {
    const { email, password } = await people().confirmedAdmin();
    const ip = '10.21.2.2';
    const answers = await Promise.all(Array.from({ length: 20 }, () => logIn(ip, email, password)));
    t.true(answers.some(({ status }) => status === 200));
    for (let i = 0; i < 2 * TRIES_PER_NETWORK; i++)
      t.is((await logIn(ip, email, password)).status, 200);
  },
);

test.serial(
  'S22 whoever registers the address with each guess guesses no more often, and the audit has each of them',
  async (t) => {
    const admin = await people().confirmedAdmin();
    const pending = await people().registerAdmin();
    for (const [i, { email }] of [admin, pending].entries()) {
      const tryTo = async (ip: string, guess: string) => {
        const body = people().applicant({ email, password: guess });
        t.is((await from(ip).post('/auth/register', body)).status, 202);
        return (await logIn(ip, email, guess)).status;
      };
      const guesses = (count: number, ipOf: (n: number) => string) =>
        inTurn(count, (n) => tryTo(ipOf(n), `a guess that is long enough: ${n}`));
      const expected = Array.from({ length: TRIES_PER_NETWORK }, () => 403);
      const ofOneNetwork = await guesses(TRIES_PER_NETWORK + 1, () => `10.22.${110 + i}.1`);
      t.deepEqual(ofOneNetwork, [...expected, 429], 'from one network');
      const ofMany = await guesses(TRIES_PER_ACCOUNT, (n) => `10.${40 + i}.${n}.1`);
      t.is(ofMany.at(-1), 429, 'from many');
    }
    t.true((await eventsOf(admin.id, 'authn_login_fail')).length >= TRIES_PER_NETWORK);
    t.is((await logIn('10.22.110.1', admin.email, admin.password)).status, 429);
  },
);

test.serial('S22 a stolen token guesses the password no faster from many networks', async (t) => {
  const { email, password, login } = await people().confirmedAdmin();
  const guess = async (i: number, guessed: string) => {
    const json = { password: 'another password', current_password: guessed };
    const { body } = await from(`10.4.${i}.1`)
      .as(login.access_token)
      .put<Problem>('/auth/me', json);
    return body.code;
  };
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < TRIES_PER_SESSION; i++)
      t.is(await guess(i, WRONG), 'wrong_password', `try ${i + 1}`);
    t.is(await guess(20, WRONG), 'too_many_attempts');
    t.is(await guess(21, password), 'too_many_attempts');
    for (const ip of ['10.4.0.1', '10.5.0.1'])
      t.is((await logIn(ip, email, password)).status, 200, 'its owner can log in');
    await letPass(QUARTER_OF_AN_HOUR);
  }
});

test.serial(
  'S22 who reads the mail guesses at the page of a link no more than ten times, and no stranger uses them up',
  async (t) => {
    const { email, password } = await people().registerAdmin();
    const mover = await people().confirmedAdmin();
    const moved = people().applicant().email;
    await mover.client.put('/auth/me', { email: moved, current_password: mover.password });
    for (const [address, right] of [
      [email, password],
      [moved, mover.password],
    ] as const) {
      const token = await tokenFor(address);
      for (let i = 0; i <= TRIES_PER_LINK; i++) {
        await logIn(`10.6.${i}.1`, address, WRONG);
        const forged = token.replace(/.{43}$/, 'A'.repeat(43));
        const { body } = await confirm(`10.7.${i}.1`, forged, WRONG);
        t.is(body.code, 'invalid_token');
      }
      for (let i = 0; i < TRIES_PER_LINK; i++) {
        const { body } = await confirm(`10.8.${i}.1`, token, WRONG);
        t.is(body.code, 'wrong_password', `try ${i + 1}`);
      }
      for (const tried of [WRONG, right]) {
        const refused = await confirm('10.9.0.1', token, tried);
        t.deepEqual([refused.status, refused.body.code], [429, 'too_many_attempts']);
        t.true(Number(refused.headers.get('retry-after')) <= QUARTER_OF_AN_HOUR);
      }
      await letPass(QUARTER_OF_AN_HOUR);
      t.is((await confirm('10.9.0.1', token, right)).status, 200);
      t.is((await logIn('10.9.1.1', address, right)).status, 200);
    }
    t.is((await logIn('10.9.2.1', mover.email, mover.password)).status, 401, 'it has moved');
  },
);

test.serial('S22 of many at once no more are compared at the page of a link either', async (t) => {
  const { email } = await people().registerAdmin();
  const token = await tokenFor(email);
  const guesses = Array.from({ length: 2 * TRIES_PER_LINK }, (_, i) =>
    confirm(`10.10.${i}.1`, token, WRONG),
  );
  const statuses = (await Promise.all(guesses)).map(({ status }) => status);
  t.true(
    statuses.every((status) => [403, 429, 503].includes(status)),
    statuses.join(),
  );
  const compared = statuses.filter((status) => status === 403).length;
  t.true(compared >= 1 && compared <= atMost(TRIES_PER_LINK), `${compared} were compared`);
});

test.serial('S23 guesses at once are let through no more than guesses in turn', async (t) => {
  for (const [limit, ipOf] of [
    [TRIES_PER_NETWORK, (i: number) => `10.22.100.${i}`],
    [TRIES_PER_ACCOUNT, (i: number) => `10.1.${i}.1`],
  ] as const) {
    const admin = await people().confirmedAdmin();
    const answers = await Promise.all(
      Array.from({ length: 2 * limit }, (_, i) => logIn(ipOf(i), admin.email, WRONG)),
    );
    const statuses = answers.map(({ status }) => status);
    // A machine that is too slow for so many at once says so by 503, and compares nothing.
    t.true(
      statuses.every((status) => [401, 429, 503].includes(status)),
      statuses.join(),
    );
    t.true(statuses.includes(429));
    const compared = statuses.filter((status) => status === 401).length;
    t.true(compared >= 1 && compared <= atMost(limit), `${compared} were compared`);
    t.is((await eventsOf(admin.id, 'authn_login_fail')).length, compared);
    t.true((await eventsOf(admin.id, 'authn_login_lock')).length <= 1);
    if (compared >= limit) t.is((await logIn(ipOf(100), admin.email, admin.password)).status, 429);
  }
});

test.serial(
  'S24 strangers can lock strangers out, but never the owner at a place it has logged in from',
  async (t) => {
    const admin = await people().confirmedAdmin();
    const { body: atHome } = await logIn<Login>('10.23.113.7', admin.email, admin.password);
    for (let i = 0; i < TRIES_PER_ACCOUNT; i++)
      t.is((await logIn(`10.2.${i}.1`, admin.email, WRONG)).status, 401, `try ${i + 1}`);
    t.is((await logIn('10.3.0.1', admin.email, WRONG)).status, 429);
    t.is(
      (await logIn('10.3.1.1', admin.email, admin.password)).status,
      429,
      'nor by a right guess',
    );

    t.is((await logIn('10.23.113.8', admin.email, admin.password)).status, 200);
    t.is((await from('10.23.113.7').as(atHome.access_token).get('/auth/me')).status, 200);
    for (const ip of ['10.23.113.7', '10.3.0.1']) {
      const body = { refresh_token: atHome.refresh_token };
      t.is((await from(ip).post('/auth/refresh', body)).status, 200, ip);
    }
    // Nor by trying from the owner's own network for as long as that is allowed.
    for (let i = 0; i <= TRIES_PER_NETWORK; i++) await logIn('10.23.113.9', admin.email, WRONG);
    t.is((await logIn('10.23.113.7', admin.email, admin.password)).status, 429);
    await letPass(QUARTER_OF_AN_HOUR);
    t.is((await logIn('10.23.113.7', admin.email, admin.password)).status, 200);
  },
);

test.serial(
  'S24 guesses at an address that nobody has yet do not lock its owner out once it is confirmed',
  async (t) => {
    const owner = people().applicant();
    const { email, password } = owner;
    await lockOut(t, email);
    t.is((await from(HOME).post('/auth/register', owner)).status, 202);
    await lockOut(t, email);
    t.is((await logIn(HOME, email, password)).status, 429);

    t.is((await confirm(HOME, await tokenFor(email), password)).status, 200);
    t.is((await logIn(ELSEWHERE, email, password)).status, 200, 'everywhere');
    // From then on the network in which the link was followed is the owner’s, and the other one by its login.
    await lockOut(t, email);
    for (const ip of [HOME, ELSEWHERE]) t.is((await logIn(ip, email, password)).status, 200, ip);
    t.is((await logIn('10.23.114.1', email, password)).status, 429);
  },
);

test.serial(
  'S24 a password set by a mailed link forgives all guesses, and its network is the owner’s',
  async (t) => {
    const confirmed = await people().confirmedAdmin();
    const registered = await people().registerAdmin();
    for (const { email, password: old } of [confirmed, registered]) {
      await lockOut(t, email);
      for (let i = 0; i < TRIES_PER_NETWORK; i++) await logIn(HOME, email, WRONG);
      t.is((await logIn(HOME, email, old)).status, 429);

      await from(HOME).post('/auth/password/forgot', { email });
      const body = { token: await tokenFor(email), password: `${old}, and another` };
      t.is((await from(HOME).post('/auth/password/reset', body)).status, 204);
      await lockOut(t, email);
      t.is((await logIn(HOME, email, body.password)).status, 200, 'though it never logged in here');
      t.is((await logIn(ELSEWHERE, email, body.password)).status, 429, 'as strangers go on');
    }
  },
);

test.serial('S24 a password changed with the old one forgives all guesses', async (t) => {
  const { email, password: old, login } = await people().confirmedAdmin();
  await lockOut(t, email);
  t.is((await logIn(ELSEWHERE, email, old)).status, 429);
  const session = from(HOME).as(login.access_token);
  const password = `${old}, and another`;
  t.is((await session.put('/auth/me', { name: people().applicant().name })).status, 200);
  t.is((await logIn(ELSEWHERE, email, old)).status, 429, 'a name forgives none');
  t.is((await session.put('/auth/me', { password, current_password: old })).status, 200);
  t.is((await logIn(ELSEWHERE, email, password)).status, 200);
});

test.serial(
  'S24 a new address begins without the guesses that were made at it before',
  async (t) => {
    const { client, password } = await people().confirmedAdmin();
    const { email } = people().applicant();
    await lockOut(t, email);
    await client.put('/auth/me', { email, current_password: password });
    t.is((await confirm(HOME, await tokenFor(email), password)).status, 200);
    t.is((await logIn(ELSEWHERE, email, password)).status, 200);
    await lockOut(t, email);
    t.is((await logIn(HOME, email, password)).status, 200);
  },
);

/** Runs `attempt` one after the other. */
async function inTurn<T>(count: number, attempt: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let n = 0; n < count; n++) results.push(await attempt(n));
  return results;
}

/** Where owners are, and where they have never been. */
const HOME = '10.23.113.7';
const ELSEWHERE = '10.22.100.7';
let strangers = 0;

/** Strangers guess from networks of their own until the account is locked for all whom it does not know. */
async function lockOut(t: ExecutionContext, email: string): Promise<void> {
  strangers += 1;
  for (let i = 0; i < TRIES_PER_ACCOUNT; i++) {
    const ip = `10.${64 + strangers}.${i}.1`;
    if ((await logIn(ip, email, WRONG)).status === 429) return;
  }
  t.is((await logIn(`10.${64 + strangers}.99.1`, email, WRONG)).status, 429);
}

const confirm = (ip: string, token: string, password: string) =>
  from(ip).post<Problem>('/auth/confirm', { token, password });

/** Not at the API’s own address, which other files use. */
const people = (): AdminFactory => createAdmins(context, from('10.20.0.1'));

const from = (ip: string): ApiClient => createClient(api.server.url, { 'x-forwarded-for': ip });

const logIn = <T = Problem>(ip: string, email: string, password: string) =>
  from(ip).post<T>('/auth/login', { email, password });

const eventsOf = (
  adminId: number,
  event: string,
): Promise<{ details: Readonly<Record<string, string>> }[]> =>
  context.rows('select details from audit_events where admin_id = $1 and event = $2', [
    adminId,
    event,
  ]);

/** What the clock would do to the counts of tries, without the wait: each loses so many seconds of its life. */
async function letPass(seconds: number): Promise<void> {
  const redis = new Redis(context.redisUrl);
  try {
    for (const key of await redis.keys('{throttle}:*')) {
      const leftMs = (await redis.pttl(key)) - seconds * 1_000;
      if (leftMs > 0) await redis.pexpire(key, leftMs);
      else await redis.del(key);
    }
  } finally {
    redis.disconnect();
  }
}
