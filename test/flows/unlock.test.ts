import { userInfo } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { Redis } from 'ioredis';
import { runCli, runCliJson } from '../cli/run-cli.js';
import { createAdmins, mintedToken, type AdminFactory } from '../helpers/admins.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { openBrowser } from '../helpers/console.js';
import { useSharedContext } from '../helpers/context.js';
import { runApi } from '../helpers/servers.js';

const context = useSharedContext('limits');
const operatorEmail = `unlocker@${context.mailDomain}`;
const env = { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1', OPERATOR_EMAILS: operatorEmail };
const api = useApi(context, { env });

const WRONG = 'certainly not the password';
const TRIES = 5;
const TRIES_PER_ACCOUNT = 20;
const TRIES_PER_LINK = 30;
const MAILS_PER_CLIENT = 20;

test.serial(
  'an operator lifts the locks of an account: it counts for every process at once, and limits by client stay',
  async (t) => {
    const other = await runApi(context, { scope: t, env });
    const home = newClient();
    const { id, email, password } = await people().confirmedAdmin();
    const canLogIn = async (url: string): Promise<number> =>
      (await from(home, url).post('/auth/login', { email, password })).status;
    const urls = [api.server.url, other.url];
    await exceed(t, TRIES, () => logIn(home, email, WRONG));
    await exceed(t, TRIES_PER_ACCOUNT, (i) => logIn(`10.202.${i}.1`, email, WRONG));
    await exceed(t, MAILS_PER_CLIENT, () => requestMail(home));
    for (const url of urls) t.is(await canLogIn(url), 429);
    const locked = await showLocks(id);
    t.deepEqual(locked.toSorted(), ['password-account', 'password-network']);

    const reason = 'she is on the phone';
    const { code, json } = await unlock(email.toUpperCase(), '--reason', reason);
    t.is(code, 0);
    t.deepEqual(
      { ...json, lifted: (json['lifted'] as string[]).toSorted() },
      {
        ok: true,
        email,
        lifted: ['password-account', 'password-network'],
      },
    );
    for (const url of urls) t.is(await canLogIn(url), 200);
    t.is((await logIn('10.202.99.1', email, password)).status, 200, 'from elsewhere too');
    t.is((await requestMail(home)).status, 429, 'the client has no more requests than before');
    t.deepEqual(await showLocks(id), []);
    const actor = `cli/${userInfo().username}`;
    t.deepEqual(
      await liftsOf(id),
      ['password-account', 'password-network'].map((limit) => ({ limit, actor, reason })),
    );

    for (let i = 0; i < TRIES; i += 1) t.is((await logIn(home, email, WRONG)).status, 401);
    t.is((await logIn(home, email, password)).status, 429, 'the limits apply as before');
    t.deepEqual(await showLocks(id), ['password-network']);
  },
);

test.serial('what is tried in a session and at a mailed link is lifted too', async (t) => {
  const home = newClient();
  const admin = await people().confirmedAdmin();
  const next = context.uniqueAddress('next');
  const change = (current_password: string) =>
    admin.client.put('/auth/me', { email: next, current_password });
  t.is((await change(admin.password)).status, 200);
  const token = await mintedToken(context)(next);
  const confirm = (password: string) => from(home).post('/auth/confirm', { token, password });
  await exceed(t, TRIES, () => change(WRONG));
  await exceed(t, TRIES_PER_LINK, () => confirm(WRONG));
  t.deepEqual(
    [(await change(admin.password)).status, (await confirm(admin.password)).status],
    [429, 429],
  );
  const { json } = await unlock(String(admin.id));
  t.deepEqual((json['lifted'] as string[]).toSorted(), ['password-link', 'password-session']);
  t.is((await confirm(admin.password)).status, 200);
  t.is((await change(admin.password)).status, 200);
});

test.serial('where nothing is locked nothing changes', async (t) => {
  const home = newClient();
  const { id, email, password } = await people().confirmedAdmin();
  for (let i = 1; i < TRIES; i += 1) await logIn(home, email, WRONG);
  const counts = await countKeys();
  const { code, stdout, stderr } = await runCli(context, ['admins', 'unlock', email], env);
  t.deepEqual(
    [code, stdout, stderr],
    [0, `${email} is not locked out by wrong passwords: nothing was changed\n`, ''],
  );
  t.deepEqual(await countKeys(), counts);
  t.deepEqual(await liftsOf(id), []);
  t.is((await logIn(home, email, password)).status, 200);
});

test.serial('an address without an admin is an error, and so is no address', async (t) => {
  const { email } = await people().registerAdmin();
  for (const nobody of [email, '2000000000']) {
    const { code, stderr } = await runCli(context, ['admins', 'unlock', nobody], env);
    t.deepEqual([code, stderr], [1, 'there is no such admin\n']);
  }
  t.is((await runCli(context, ['admins', 'unlock', 'nobody'], env)).code, 64);
  t.is((await runCli(context, ['admins', 'unlock', email], { ...env, REDIS_URL: '' })).code, 78);
});

test.serial('without Redis, or with one that refuses it, no lock is lifted', async (t) => {
  const home = newClient();
  const { id, email } = await people().confirmedAdmin();
  await exceed(t, TRIES, () => logIn(home, email, WRONG));
  const user = `${context.id}-unlock`;
  const redis = new Redis(context.redisUrl);
  await redis.call('ACL', 'SETUSER', user, 'on', `>${user}`, '~*', '+@all', '-incr');
  t.teardown(async () => {
    await redis.call('ACL', 'DELUSER', user);
    redis.disconnect();
  });
  const restricted = Object.assign(new URL(context.redisUrl), { username: user, password: user });
  for (const [url, problem] of [
    ['redis://127.0.0.1:1', 'Redis cannot be reached: nothing was changed'],
    [restricted.href, 'Redis refuses commands: NOPERM (the user lacks rights)'],
  ] as const) {
    const { code, json } = await runCliJson(context, ['admins', 'unlock', email], {
      ...env,
      REDIS_URL: url,
    });
    t.deepEqual([code, json], [1, { ok: false, problem }]);
  }
  t.deepEqual(await liftsOf(id), []);
  t.deepEqual(await showLocks(id), ['password-network']);
  t.is((await logIn(home, email, WRONG)).status, 429);
});

test.serial('the console lifts them too, with a reason', async (t) => {
  const operator = await people().confirmedAdmin({ email: operatorEmail });
  const browser = openBrowser(api.server.url);
  await browser.logIn(operator);
  const home = newClient();
  const { id, email, password } = await people().confirmedAdmin();
  const path = `/ops/admins/${id}`;
  t.notRegex((await browser.get(path)).text, /\/unlock"/);
  await exceed(t, TRIES, () => logIn(home, email, WRONG));
  t.true((await browser.get(path)).text.includes(`href="${path}/unlock"`));
  t.regex((await browser.get(`${path}/unlock`)).text, /1 lock\./);
  t.is((await browser.post(`${path}/unlock`, {})).status, 422, 'without a reason');
  t.is((await browser.post(`${path}/unlock`, { reason: 'on the phone' })).status, 303);
  t.is((await logIn(home, email, password)).status, 200);
  t.notRegex((await browser.get(path)).text, /\/unlock"/);
  const expected = { limit: 'password-network', operator_id: operator.id, reason: 'on the phone' };
  t.deepEqual(await liftsOf(id), [expected]);
  const again = await browser.post(
    `${path}/unlock`,
    { reason: 'twice' },
    { accept: 'application/json' },
  );
  t.deepEqual(JSON.parse(again.text), { lifted: [] });
  t.deepEqual(await liftsOf(id), [expected]);
});

/** Makes one attempt more than a limit allows. */
async function exceed(
  t: ExecutionContext,
  limit: number,
  attempt: (i: number) => Promise<{ status: number }>,
): Promise<void> {
  let status = 0;
  for (let i = 0; i <= limit; i += 1) ({ status } = await attempt(i));
  t.is(status, 429);
}

let clients = 0;
/** Another client each time: the limits by client are those of production. */
const newClient = (): string => `10.201.${++clients}.1`;

const people = (): AdminFactory => createAdmins(context, from(newClient()));

const from = (ip: string, url = api.server.url): ApiClient =>
  createClient(url, { 'x-forwarded-for': ip });

const logIn = (ip: string, email: string, password: string) =>
  from(ip).post('/auth/login', { email, password });

const requestMail = (ip: string) =>
  from(ip).post('/auth/confirm/resend', { email: `nobody@${context.mailDomain}` });

function unlock(admin: string, ...options: readonly string[]) {
  return runCliJson(context, ['admins', 'unlock', admin, ...options], env);
}

async function showLocks(id: number): Promise<string[]> {
  const { json } = await runCliJson(context, ['admins', 'show', String(id)], env);
  return (json['locks'] as { limit: string }[]).map(({ limit }) => limit);
}

const liftsOf = async (id: number): Promise<object[]> =>
  (
    await context.rows<{ details: object }>(
      `select details from audit_events
        where event = 'authn_login_lock_lifted' and admin_id = $1 order by details->>'limit'`,
      [id],
    )
  ).map(({ details }) => details);

/** Every count with its value. */
async function countKeys(): Promise<Record<string, string | null>> {
  const redis = new Redis(context.redisUrl);
  try {
    const keys = (await redis.keys('{throttle}:*')).toSorted();
    return Object.fromEntries(
      await Promise.all(keys.map(async (key) => [key, await redis.get(key)] as const)),
    );
  } finally {
    redis.disconnect();
  }
}
