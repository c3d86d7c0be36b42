import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
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

test('S68 a reader changes nothing, and may log out', async (t) => {
  const browser = await loggedIn(reader);
  t.is((await browser.post('/ops/mail/anything')).status, 403);
  t.is((await browser.post('/ops/logout')).status, 303);
});

test('every page forbids inline scripts, frames and other hosts', async (t) => {
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
