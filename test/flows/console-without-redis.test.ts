import test from 'ava';
import { queueNames } from '../../shared/queues/registry.js';
import { useApi } from '../helpers/api.js';
import { openBrowser, type ConsoleBrowser } from '../helpers/console.js';
import { useContext } from '../helpers/context.js';

const context = useContext();
const operatorEmail = `operator@${context.mailDomain}`;
const NOWHERE = 'redis://127.0.0.1:9/0';
const api = useApi(context, {
  env: { OPERATOR_EMAILS: operatorEmail, REDIS_URL: NOWHERE, REDIS_URL_LOGS: NOWHERE },
});

let browser: ConsoleBrowser;
let operatorId: number;

test.serial.before('log in', async () => {
  const operator = await api.admins.confirmedAdmin({ email: operatorEmail });
  operatorId = operator.id;
  browser = openBrowser(api.server.url);
  await browser.logIn(operator);
});

test('a queue whose Redis is down offers no button, and an action on it says why it failed', async (t) => {
  const { text } = await browser.get('/ops/queues');
  t.is(text.split('badge bad">Redis cannot be reached<').length, queueNames.length + 1);
  t.notRegex(text, /href="[^"]*\/(?:pause|resume)"/);
  for (const action of ['pause', 'resume']) {
    const path = `/ops/queues/mail/${action}`;
    const page = await browser.post(path, { reason: 'they move' });
    t.is(page.status, 503);
    t.true(page.headers.has('retry-after'));
    t.regex(page.text, /<p>Redis cannot be reached<\/p>/);
    t.notRegex(page.text, /PostgreSQL|internal error/);
    const data = await browser.post(path, { reason: 'they move' }, { accept: 'application/json' });
    t.is(data.status, 503);
    t.like(JSON.parse(data.text), { code: 'unavailable', detail: 'Redis cannot be reached' });
  }
  t.deepEqual(await context.rows(`select from audit_events where event like 'queue%'`), []);
  t.false(api.server.logLines().some(({ message }) => message === 'request failed'));
});

test('a lock is not lifted while Redis is down, and stays as it is', async (t) => {
  await context.rows(
    `insert into audit_events (id, event, admin_id, details)
     values (gen_random_uuid(), 'authn_login_lock', $1,
             jsonb_build_object('limit', 'password-network', 'until', now() + interval '10 minutes'))`,
    [operatorId],
  );
  const path = `/ops/admins/${operatorId}`;
  const page = await browser.post(`${path}/unlock`, { reason: 'she forgot it' });
  t.is(page.status, 503);
  t.regex(page.text, /<p>Redis cannot be reached<\/p>/);
  t.deepEqual(
    await context.rows(`select from audit_events where event = 'authn_login_lock_lifted'`),
    [],
  );
  t.regex((await browser.get(path)).text, /badge bad">password-network</);
});

test('what else an operator does needs no Redis', async (t) => {
  const { email: address } = await api.admins.registerAdmin();
  const reason = 'Redis is down';
  for (const [path, fields] of [
    ['/ops/confirmations/send', { address, reason }],
    ['/ops/schedule/purge-expired/run', { reason }],
    ['/ops/mail/dead/redrive', { state: 'dead', rate: '1000', reason }],
  ] as const)
    t.is((await browser.post(path, fields)).status, 303, path);
  t.is((await browser.get('/ops')).status, 200);
});
