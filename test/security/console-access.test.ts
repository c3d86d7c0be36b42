import test from 'ava';
import { claimPort } from '../../dev/stack/processes/ports.js';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { exchange } from '../helpers/raw-http.js';
import { createClient } from '../helpers/api-client.js';
import { openBrowser, type ConsoleBrowser } from '../helpers/console.js';
import { useContext } from '../helpers/context.js';
import { ask } from '../helpers/http.js';
import { runApi } from '../helpers/servers.js';

const context = useContext();
const operatorEmail = `operator@${context.mailDomain}`;
const readerEmail = `reader@${context.mailDomain}`;
const env = { OPERATOR_EMAILS: operatorEmail, OPS_READONLY_EMAILS: readerEmail };
const api = useApi(context, { env });

let operator: TestAdmin;
let reader: TestAdmin;
let other: TestAdmin;

test.serial.before('register', async () => {
  operator = await api.admins.confirmedAdmin({ email: operatorEmail });
  reader = await api.admins.confirmedAdmin({ email: readerEmail });
  other = await api.admins.confirmedAdmin();
});

/** Asks for the session's cookie; a browser shows no dialog for it. */
const CHALLENGE = 'Bearer realm="rollcall"';

const newBrowser = (): ConsoleBrowser => openBrowser(api.server.url);

async function loggedIn(who: TestAdmin = operator): Promise<ConsoleBrowser> {
  const browser = newBrowser();
  const { status, text } = await browser.logIn(who);
  if (status !== 303) throw new Error(`the login was answered with ${status}: ${text}`);
  return browser;
}

/** Pages, data and files, real ones and made up. */
async function consolePaths(): Promise<string[]> {
  const { text } = await (await loggedIn()).get('/ops');
  const files = [...text.matchAll(/(?:href|src)="(\/ops[^"]*)"/g)].map(([, path = '']) => path);
  if (!files.some((path) => path.endsWith('.css'))) throw new Error('no style sheet');
  if (!files.some((path) => path.endsWith('.js'))) throw new Error('no script');
  return [...new Set([...files, '/ops/', '/OPS/mail', '/ops/live?page=overview', '/ops/nothing'])];
}

test('S67 every path needs an operator who has logged in, files too', async (t) => {
  const paths = await consolePaths();
  t.true(paths.length > 8);
  const forged = `__Host-rollcall-ops=${'A'.repeat(43)}`;
  for (const path of paths) {
    const anonymous = await newBrowser().get(path);
    t.is(anonymous.status, 302, path);
    t.regex(anonymous.headers.get('location') ?? '', /^\/ops\/login(?:\?next=%2Fops[^/]*)?$/, path);
    t.notRegex(anonymous.text, /<nav|operator@/);
    t.is((await newBrowser().get(path, { cookie: forged })).status, 302, path);
    const data = await newBrowser().get(path, { accept: 'application/json' });
    t.is(data.status, 401, path);
    t.is(data.headers.get('www-authenticate'), CHALLENGE, path);
    const linked = await newBrowser().get(path, { 'sec-fetch-site': 'cross-site' });
    t.is(linked.status, 401, path);
    t.is(linked.headers.get('www-authenticate'), CHALLENGE, path);
    const authorization = `Bearer ${operator.login.access_token}`;
    const withToken = await newBrowser().get(path, { accept: 'application/json', authorization });
    t.is(withToken.status, 401, `${path}: an access token is no session of the console`);
    const posted = await newBrowser()
      .post(path, { csrf: 'none' })
      .catch(() => undefined);
    t.true(posted === undefined || posted.status === 401, path);
    t.is(posted?.headers.get('www-authenticate') ?? CHALLENGE, CHALLENGE, path);
  }
});

test('S63 a page that asks again from here asks here, whatever host the target names', async (t) => {
  const { status, text } = await exchange(
    api.server.url,
    `GET http://evil.test/ops/mail HTTP/1.1\r\nHost: ${new URL(api.server.url).host}\r\nAccept: text/html\r\n` +
      'Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n',
  );
  t.is(status, 401);
  t.regex(text, /Opening the console/);
  t.notRegex(text, /evil\.test/);
});

test('S67 the login shows a page of its own, without files and scripts', async (t) => {
  const { status, text, headers } = await newBrowser().get('/ops/login?next=/ops/mail');
  t.is(status, 200);
  t.notRegex(text, /<script|<link rel="stylesheet"|src=/);
  t.regex(headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-/);
});

test('S67 only an operator or a reader gets in; any other admin is told so and left without a session', async (t) => {
  const browser = newBrowser();
  const somebody = await api.admins.confirmedAdmin();
  const refused = await browser.logIn(somebody);
  t.is(refused.status, 403);
  t.regex(refused.text, /not an operator/);
  t.is(browser.cookie, '');
  t.is(refused.headers.get('set-cookie'), null);
  const rows = await context.rows<{ live: number }>(
    'select count(*)::int as live from sessions where admin_id = $1 and ended_at is null',
    [somebody.id],
  );
  t.deepEqual(rows, [{ live: 1 }], 'that of the API');

  const wrong = await newBrowser().logIn({ ...operator, password: 'certainly not the password' });
  t.is(wrong.status, 401);
  t.regex(wrong.text, /wrong/);
  t.is(wrong.headers.get('www-authenticate'), CHALLENGE);

  const asReader = await loggedIn(reader);
  t.regex((await asReader.get('/ops')).text, /read-only/);
});

test('S67 methods that no page has are refused, and OPTIONS names those that there are', async (t) => {
  const browser = await loggedIn();
  for (const path of ['/ops', '/ops/mail', '/ops/login', '/ops/nothing'])
    for (const [method, status] of [
      ['OPTIONS', 204],
      ['PUT', 405],
      ['DELETE', 405],
    ] as const) {
      const answer = await browser.ask(method, path);
      t.deepEqual(
        [answer.status, answer.headers.get('allow')],
        [status, 'GET, HEAD, POST'],
        `${method} ${path}`,
      );
    }
  t.is((await newBrowser().ask('OPTIONS', '/ops')).status, 401);
});

test('S67 the next page after the login is one of the console', async (t) => {
  const { url } = api.server;
  for (const [next, location] of [
    ['/ops/mail?q=ann%40example.com', '/ops/mail?q=ann%40example.com'],
    ['//evil.test', '/ops'],
    ['/\\evil.test', '/ops'],
    ['https://evil.test/ops', '/ops'],
    ['/ops/../users', '/ops/../users'],
    ['/opsevil', '/ops'],
    ['javascript:alert(1)', '/ops'],
  ] as const) {
    const { email, password } = operator;
    const answer = await ask(`${url}/ops/login`, {
      method: 'POST',
      headers: { origin: url, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ email, password, next }).toString(),
      signal: AbortSignal.timeout(60_000),
    });
    t.is(answer.headers.get('location'), location, next);
    t.is(new URL(answer.headers.get('location') ?? '', url).origin, url);
  }
});

test.serial('S67 the login says in one sentence why it cannot read a form', async (t) => {
  const { url } = api.server;
  const answer = await ask(`${url}/ops/login`, {
    method: 'POST',
    headers: { origin: url, 'content-type': 'application/x-www-form-urlencoded' },
    body: 'email=%E9&password=x',
    signal: AbortSignal.timeout(60_000),
  });
  t.is(answer.status, 400);
  t.regex(answer.text, />The form is not UTF-8\.</);
});

test.serial('S67 without an operator there is no console', async (t) => {
  const bare = await runApi(context, {
    scope: t,
    env: { OPERATOR_EMAILS: '', OPS_READONLY_EMAILS: '' },
  });
  for (const path of ['/ops', '/ops/login', '/ops/assets/console.css'])
    t.is((await openBrowser(bare.url).get(path)).status, 404, path);
  await context.rows('update admins set operator_since = now() where id = $1', [other.id]);
  t.is((await openBrowser(bare.url).get('/ops')).status, 302);
  t.is((await openBrowser(bare.url).logIn(other)).status, 303);
  await context.rows('update admins set operator_since = null where id = $1', [other.id]);
  t.is((await openBrowser(bare.url).get('/ops')).status, 404);
});

test.serial('S67 with a listener of its own the console is there and nowhere else', async (t) => {
  const claim = await claimPort(0);
  t.teardown(() => claim.release());
  const apart = await runApi(context, { scope: t, env: { ...env, OPS_PORT: String(claim.port) } });
  const ops = `http://127.0.0.1:${claim.port}`;
  for (const path of ['/ops', '/ops/login']) {
    const { status, body } = await createClient(apart.url).raw('GET', path);
    t.is(status, 404, path);
    t.like(body, { code: 'not_found' });
  }
  t.is((await openBrowser(ops).get('/ops')).status, 302);
  const browser = openBrowser(ops);
  t.is((await browser.logIn(operator)).status, 303);
  t.is((await browser.get('/ops')).status, 200);
  for (const path of ['/', '/users', '/auth/me', '/apidocs', '/health/live', '/openapi.json'])
    t.is((await browser.get(path)).status, 404, path);
});

test.serial('S67 ten wrong passwords, and no more are compared', async (t) => {
  const strict = await runApi(context, {
    scope: t,
    env: { ...env, RATE_LIMIT_SCALE: '1' },
  });
  const guess = { email: operatorEmail, password: 'certainly not the password' };
  const statuses: number[] = [];
  for (let i = 0; i < 10; i++) statuses.push((await openBrowser(strict.url).logIn(guess)).status);
  const last = await openBrowser(strict.url).logIn(guess);
  t.is(statuses[0], 401);
  t.is(last.status, 429);
  t.regex(last.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  t.regex(last.text, /Too many attempts/);
  t.is((await openBrowser(strict.url).logIn(operator)).status, 429, 'nor the right one');
  const events = await context.rows<{ n: number }>(
    `select count(*)::int as n from audit_events where event = 'authn_login_lock' and admin_id = $1`,
    [operator.id],
  );
  t.deepEqual(events, [{ n: 1 }]);
});

test('S67 a session ends with a log-out, a new password, the role and the account; and after half an hour idle', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const grant = (since: string) =>
    context.rows(`update admins set operator_since = ${since} where id = $1`, [admin.id]);
  await grant('now()');
  const isIn = async (browser: ConsoleBrowser): Promise<boolean> =>
    (await browser.get('/ops/session', { cookie: browser.cookie })).status === 200;

  const first = await loggedIn(admin);
  const kept = first.cookie;
  t.true(await isIn(first));
  t.is((await first.post('/ops/logout')).status, 303);
  t.is((await first.get('/ops', { cookie: kept })).status, 302, 'logged out');

  const second = await loggedIn(admin);
  const sessions = await admin.client.get<{ id: number }[]>('/auth/sessions');
  t.is(sessions.body.length, 2, 'it is listed beside that of the API');
  await admin.client.delete(`/auth/sessions/${sessions.body[0]?.id}`);
  t.false(await isIn(second), 'ended over the API');

  const third = await loggedIn(admin);
  await grant('null');
  t.false(await isIn(third), 'no operator any more');
  await grant('now()');
  t.false(await isIn(third), 'which has ended it');

  const fourth = await loggedIn(admin);
  const idle = (minutes: number) =>
    context.rows(
      `update sessions set console_seen_at = now() - interval '${minutes} minutes'
        where admin_id = $1 and console_hash is not null and ended_at is null`,
      [admin.id],
    );
  await idle(29);
  t.true(await isIn(fourth), 'and this request counts');
  const [seen] = await context.rows<{ seconds: number }>(
    `select extract(epoch from now() - max(console_seen_at))::float as seconds from sessions where admin_id = $1`,
    [admin.id],
  );
  t.true((seen?.seconds ?? 99) < 60);
  await idle(31);
  t.false(await isIn(fourth), 'idle');

  const fifth = await loggedIn(admin);
  await context.rows(
    `update sessions set expires_at = now() where admin_id = $1 and console_hash is not null`,
    [admin.id],
  );
  t.false(await isIn(fifth), 'expired');

  const sixth = await loggedIn(admin);
  const password = 'another long password of mine';
  await admin.client.put('/auth/me', { password, current_password: admin.password });
  t.false(await isIn(sixth), 'a new password');

  const seventh = await loggedIn({ ...admin, password });
  await admin.client.delete('/auth/me', { json: { current_password: password } });
  t.false(await isIn(seventh), 'deleted');
});

test('S67 a session lasts twelve hours at most, and its token is stored as a hash alone', async (t) => {
  const browser = await loggedIn();
  const token = browser.cookie.split('=')[1] ?? '';
  t.regex(token, /^[\w-]{43}$/);
  const [row] = await context.rows<{ hours: number; row: string }>(
    `select extract(epoch from expires_at - created_at)::float / 3600 as hours, to_jsonb(s)::text as row
       from sessions s where console_hash = sha256($1::bytea)`,
    [Buffer.from(token)],
  );
  t.true((row?.hours ?? 99) <= 12.01);
  t.false(row?.row.includes(token));
});

test('S67 a new login takes a new token and ends the former session', async (t) => {
  const browser = await loggedIn();
  const former = browser.cookie;
  t.is((await browser.logIn(operator)).status, 303);
  t.not(browser.cookie, former);
  t.is((await newBrowser().get('/ops', { cookie: former })).status, 302);
  t.is((await browser.get('/ops')).status, 200);
});
