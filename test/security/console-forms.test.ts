import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { openBrowser, type ConsoleBrowser } from '../helpers/console.js';
import { useSharedContext } from '../helpers/context.js';
import { ask } from '../helpers/http.js';
import { runApi } from '../helpers/servers.js';

const context = useSharedContext('api');
const operatorEmail = `careful-operator@${context.mailDomain}`;
const readerEmail = `careful-reader@${context.mailDomain}`;
const env = { OPERATOR_EMAILS: operatorEmail, OPS_READONLY_EMAILS: readerEmail };
const api = useApi(context, { env });

let operator: TestAdmin;
let reader: TestAdmin;

test.serial.before('register', async () => {
  operator = await api.admins.confirmedAdmin({ email: operatorEmail });
  reader = await api.admins.confirmedAdmin({ email: readerEmail });
});

const newBrowser = (): ConsoleBrowser => openBrowser(api.server.url);

async function loggedIn(who: TestAdmin = operator): Promise<ConsoleBrowser> {
  const browser = newBrowser();
  const { status, text } = await browser.logIn(who);
  if (status !== 303) throw new Error(`the login was answered with ${status}: ${text}`);
  return browser;
}

test('S68 the cookie is for this host alone, and for no script', async (t) => {
  const answer = await newBrowser().logIn(operator);
  t.regex(
    answer.headers.get('set-cookie') ?? '',
    /^__Host-rollcall-ops=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
  );
  const plain = await runApi(context, {
    scope: t,
    env: { ...env, PUBLIC_URL: 'http://localhost:5000' },
  });
  const local = await openBrowser(plain.url).logIn(operator);
  t.regex(
    local.headers.get('set-cookie') ?? '',
    /^rollcall-ops=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
  );
});

/** Where a text leads to a query; the names of its fields. */
const textFields = {
  '/ops/admins': ['q'],
  '/ops/audit': ['text', 'event', 'adminId', 'since'],
  '/ops/audit.csv': ['text'],
  '/ops/mail': ['q'],
  '/ops/mail/dead': ['cause', 'mail', 'recipient', 'state', 'until'],
  '/ops/mail/dead/redrive': ['cause', 'mail', 'recipient'],
  '/ops/mail/suppressions': ['prefix'],
  '/ops/live': ['page'],
} as const;

test('S68 a text that PostgreSQL cannot store is refused before a query has it', async (t) => {
  const browser = await loggedIn();
  for (const [path, fields] of Object.entries(textFields))
    for (const field of fields) {
      const { status } = await browser.get(`${path}?${field}=a%00`);
      t.is(status, 422, `${path}: ${field}`);
    }
  for (const path of ['/ops/mail/suppressions/lift', '/ops/confirmations/send'])
    t.is((await browser.get(`${path}?address=a%00@x.test`)).status, 404, path);
  for (const [field, text] of [
    ['cause', '550\0'],
    ['recipient', '@\ud800.test'],
    ['reason', 'why\0'],
  ] as const) {
    const fields = { csrf: await browser.formToken(), reason: 'a test', [field]: text };
    const answer = await ask(`${api.server.url}/ops/mail/dead/discard`, {
      method: 'POST',
      headers: {
        ...{ accept: 'application/json', 'content-type': 'application/json' },
        ...{ cookie: browser.cookie, origin: new URL(api.server.url).origin },
      },
      body: JSON.stringify(fields),
      signal: AbortSignal.timeout(60_000),
    });
    t.is(answer.status, 422, `${field}: ${answer.text}`);
    t.true(answer.text.includes(`#/${field}`));
  }
});

/** What changes something, and a path that there is not. */
const changing = ['/ops/logout', '/ops/nothing'] as const;

test('S68 a change needs a page of this console, rendered for this session', async (t) => {
  const browser = await loggedIn();
  const csrf = await browser.formToken();
  const foreign = await (await loggedIn()).formToken();
  t.not(csrf, foreign);
  const { url } = api.server;
  for (const path of changing) {
    const refused = async (
      what: string,
      fields: Record<string, string>,
      headers: Record<string, string | undefined>,
    ): Promise<void> => {
      const answer = await browser.post(path, { csrf, ...fields }, headers);
      t.is(answer.status, 403, `${path}: ${what}`);
      t.regex(answer.headers.get('content-type') ?? '', /^text\/html/, what);
      t.regex(answer.text, /Nothing has been changed/, what);
    };
    await refused('from another site', {}, { origin: 'https://evil.test' });
    await refused('from another scheme', {}, { origin: 'null' });
    await refused('from another port', {}, { origin: 'http://127.0.0.1:1' });
    await refused('from a site that begins alike', {}, { origin: `${url}.evil.test` });
    await refused('cross-site', {}, { 'sec-fetch-site': 'cross-site' });
    await refused('same-site', {}, { 'sec-fetch-site': 'same-site' });
    await refused(
      'cross-site without an origin',
      {},
      { origin: undefined, 'sec-fetch-site': 'cross-site' },
    );
    await refused('without either header', {}, { origin: undefined });
    await refused('without a token', { csrf: '' }, {});
    await refused('with the token of another session', { csrf: foreign }, {});
    const typed = await browser.post(path, { csrf }, { 'content-type': 'text/plain' });
    t.is(typed.status, 415, path);
    const typeless = await browser.post(path, { csrf }, { 'content-type': 'multipart/form-data' });
    t.is(typeless.status, 415, path);
  }
  t.is((await browser.get('/ops')).status, 200, 'nothing of it has logged out');
  t.is(
    (await browser.post('/ops/logout', {}, { origin: undefined, 'sec-fetch-site': 'same-origin' }))
      .status,
    303,
  );
});

test('S68 the login, too, is refused from another site', async (t) => {
  const { email, password } = operator;
  for (const headers of [
    { origin: 'https://evil.test' },
    { origin: api.server.url, 'sec-fetch-site': 'cross-site' },
    {},
  ]) {
    const answer = await ask(`${api.server.url}/ops/login`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ email, password }).toString(),
      signal: AbortSignal.timeout(60_000),
    });
    t.is(answer.status, 403);
    t.is(answer.headers.get('set-cookie'), null);
  }
});

test('S68 the public address is this origin too, behind a proxy that changes the host', async (t) => {
  const browser = await loggedIn();
  const answer = await browser.post('/ops/logout', {}, { origin: 'https://rollcall.example' });
  t.is(answer.status, 303);
});

test('S68 JSON passes the same guards', async (t) => {
  const browser = await loggedIn();
  const send = (json: object, headers: Record<string, string>) =>
    ask(`${api.server.url}/ops/logout`, {
      method: 'POST',
      headers: {
        cookie: browser.cookie,
        accept: 'application/json',
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify(json),
      signal: AbortSignal.timeout(60_000),
    });
  const csrf = await browser.formToken();
  t.is((await send({ csrf }, {})).status, 403);
  t.is((await send({}, { origin: api.server.url })).status, 403);
  t.is((await send({ csrf }, { origin: 'https://evil.test' })).status, 403);
  t.is((await send({ csrf, more: 1 }, { origin: api.server.url })).status, 422);
  t.is((await send({ csrf }, { origin: api.server.url })).status, 204);
});

test('S68 a form whose session has ended leads to the login, and from there back to its page', async (t) => {
  const browser = await loggedIn();
  const csrf = await browser.formToken();
  await browser.post('/ops/logout');
  const loginLink = async (referer: string | undefined): Promise<string | undefined> => {
    const answer = await browser.post('/ops/queues/logs/pause', { csrf, reason: 'x' }, { referer });
    t.is(answer.status, 401);
    t.regex(answer.text, /Please log in/);
    return /href="(\/ops\/login[^"]*)"/.exec(answer.text)?.[1];
  };
  const { url } = api.server;
  t.is(
    await loginLink(`${url}/ops/mail/dead?state=dead&cause=550`),
    '/ops/login?next=%2Fops%2Fmail%2Fdead%3Fstate%3Ddead%26cause%3D550',
  );
  for (const referer of [undefined, 'x', `${url}/`, `${url}//evil.test/ops`, `${url}/ops/logout`])
    t.is(await loginLink(referer), '/ops/login?next=%2Fops', referer);
});

test('S68 a reason says something that can be seen as it was meant', async (t) => {
  const browser = await loggedIn();
  for (const reason of ['', ' ', '\u200b', 'a\0b', 'a\nb', 'a\r\nb', 'a\u202eb', 'a\u2067b']) {
    const { status, text } = await browser.post('/ops/queues/logs/pause', { reason });
    t.is(status, 422, JSON.stringify(reason));
    t.regex(text, /must give a reason/);
  }
  t.is((await browser.post('/ops/queues/logs/resume', { reason: 'as it was' })).status, 303);
});

test('S68 a reader changes nothing, and may log out', async (t) => {
  const browser = await loggedIn(reader);
  t.is((await browser.post('/ops/mail/anything')).status, 403);
  t.is((await browser.post('/ops/logout')).status, 303);
});

test.serial('every page forbids inline scripts, frames and other hosts', async (t) => {
  const browser = await loggedIn();
  for (const path of ['/ops', '/ops/nothing']) {
    const { headers, text } = await browser.get(path);
    t.is(
      headers.get('content-security-policy'),
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    t.is(headers.get('cache-control'), 'no-store');
    t.notRegex(text, /<script(?![^>]* src="\/ops\/)|\son\w+=|\sstyle=/);
  }
  const { status, headers } = await browser.get('/ops', { 'x-http-method-override': 'DELETE' });
  t.is(status, 200);
  t.is(headers.get('referrer-policy'), 'same-origin', 'or forms would come from the origin null');
});

const EVIL = '<img src=x onerror="alert(1)">\u001b[2J\u202e</script><script>alert(2)</script>';

/** Puts it wherever somebody else chooses a text; resolves to the mail's id. */
async function plantForeignText(): Promise<string> {
  const [mail] = await context.rows<{ id: string }>(
    `insert into outbox (id, name, payload, recipient, trace_id, request_id, state, attempts, last_error, given_up_at, admin_id, template)
     values (gen_random_uuid(), 'send-confirmation-mail', '{}', $1, $1, $1, 'dead', 1, '550 ' || $1, now(), $2, $1) returning id`,
    [EVIL, operator.id],
  );
  const { id = '' } = mail ?? {};
  await context.rows(
    `insert into deliveries (outbox_id, attempt, worker, finished_at, outcome, response, provider_id) values ($1, 1, $2, now(), 'refused', $2, $2)`,
    [id, EVIL],
  );
  await context.rows('update admins set name = $1 where id = $2', [EVIL, operator.id]);
  await context.rows('update sessions set user_agent = $1, ip = $1 where admin_id = $2', [
    EVIL,
    operator.id,
  ]);
  await context.rows(
    `insert into audit_events (id, event, ip, trace_id, details)
     values (gen_random_uuid(), 'mail_redriven', $1, $1, jsonb_build_object('outbox_id', $2::text, 'reason', $1::text, 'error', $1::text, 'actor', $1::text))`,
    [EVIL, id],
  );
  await context.rows(
    `insert into processes (id, service, host, pid, version, roles, health)
     values (gen_random_uuid(), $1, $1, 1, $1, array[$1::text], jsonb_build_object($1::text, jsonb_build_object('ok', false, 'problem', $1::text)))`,
    [EVIL],
  );
  await context.rows(
    `insert into alerts (id, name, detail) values (gen_random_uuid(), 'smtp_refuses', $1)`,
    [EVIL],
  );
  await context.rows(
    `insert into task_runs (task, started_at, finished_at, worker, outcome, error) values ('purge-expired', now(), now(), $1, 'failed', $1)
     on conflict (task) do update set outcome = 'failed', error = excluded.error, worker = excluded.worker`,
    [EVIL],
  );
  return id;
}

test.serial('S69 foreign text is shown as text, its control characters visibly', async (t) => {
  const id = await plantForeignText();
  const browser = await loggedIn();
  const query = encodeURIComponent(EVIL);
  const { headers } = await browser.post('/ops/mail/dead/redrive', {
    recipient: 'nobody@nowhere.test',
    rate: '1',
    reason: 'to be replaced',
  });
  await context.rows('update bulk_actions set reason = $1', [EVIL]);
  for (const path of [
    '/ops',
    '/ops/mail',
    `/ops/mail?q=${query}`,
    `/ops/mail/messages/${id}`,
    `/ops/mail/messages/${id}/redrive`,
    `/ops/mail/dead?recipient=${query}&cause=${query}&mail=${query}`,
    `/ops/mail/dead/redrive?cause=${query}`,
    '/ops/mail/dead?state=dead',
    headers.get('location') ?? '',
    `/ops/mail/suppressions?prefix=${query}`,
    '/ops/admins',
    `/ops/admins?q=${query}`,
    `/ops/admins/${operator.id}`,
    '/ops/schedule',
    `/ops/audit?text=${query}`,
    `/ops/audit?text=img`,
  ]) {
    const { status, text } = await browser.get(path);
    t.is(status, 200, path);
    t.true(text.includes('&lt;img src=x'), `${path} shows it`);
    t.notRegex(text, /<img|<script(?! type="module" src="\/ops\/assets)|alert\(2\)<\/script/, path);
    // A filter goes on as it is.
    const shown = text.replaceAll(/<input type="hidden"[^>]*>/g, '');
    for (const control of ['\u001b', '\u202e'])
      t.false(shown.includes(control), `${path}: control characters`);
  }
  const { text } = await browser.get(`/ops/mail/messages/${id}`);
  t.true(text.includes(String.raw`\u001b[2J\u202e`));
});
