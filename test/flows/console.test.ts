import { request, type IncomingMessage } from 'node:http';
import test from 'ava';
import { queueNames } from '../../shared/queues/registry.js';
import { useSystem } from '../helpers/api.js';
import type { TestAdmin } from '../helpers/admins.js';
import { openBrowser, type ConsoleBrowser } from '../helpers/console.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';

const context = useContext();
const operatorEmail = `operator@${context.mailDomain}`;
const readerEmail = `reader@${context.mailDomain}`;
const system = useSystem(context, {
  env: { OPERATOR_EMAILS: operatorEmail, OPS_READONLY_EMAILS: readerEmail },
});

let operator: TestAdmin;
let browser: ConsoleBrowser;
let reader: ConsoleBrowser;

test.serial.before('log in', async () => {
  operator = await system.admins.confirmedAdmin({ email: operatorEmail });
  const looks = await system.admins.confirmedAdmin({ email: readerEmail });
  browser = openBrowser(system.server.url);
  reader = openBrowser(system.server.url);
  await browser.logIn(operator);
  await reader.logIn(looks);
});

const JSON_ONLY = { accept: 'application/json' };

async function dataOf<T>(path: string): Promise<T> {
  const { status, text } = await browser.get(path, JSON_ONLY);
  if (status !== 200) throw new Error(`${path} was answered with ${status}: ${text}`);
  return JSON.parse(text) as T;
}

interface DeadLetter {
  readonly recipient?: string;
  readonly error?: string;
  readonly state?: 'dead' | 'uncertain';
  readonly redrives?: number;
}

/** Messages that wait for a decision; their mails are about an admin who is gone, so that a redriven one is settled as obsolete. */
async function insertDead(letters: readonly DeadLetter[]): Promise<string[]> {
  const rows = await context.rows<{ id: string }>(
    `insert into outbox (id, name, payload, recipient, trace_id, state, attempts, last_error, given_up_at, redrives)
     select gen_random_uuid(), 'send-security-notice', '{"v":1,"admin_id":2147483647,"notice":"password_changed"}',
            each->>'recipient', md5(random()::text), coalesce(each->>'state', 'dead'), 1, each->>'error', now(),
            coalesce((each->>'redrives')::int, 0)
       from jsonb_array_elements($1::jsonb) each returning id`,
    [JSON.stringify(letters)],
  );
  return rows.map(({ id }) => id);
}

const auditOf = (event: string) =>
  context.rows<{ details: Record<string, unknown> }>(
    'select details from audit_events where event = $1 order by id desc',
    [event],
  );

test('the overview says in words whether mail is flowing, and answers with data', async (t) => {
  const { status, text } = await browser.get('/ops');
  t.is(status, 200);
  t.regex(text, /<h1 id="verdict-title">(?:Mail is flowing|Nothing is blocking mail)/);
  t.regex(text, /\d+ mails? in the last hour/);
  for (const name of queueNames) t.true(text.includes(`role="rowheader" class="">${name}<`));
  const data = await dataOf<{
    title: string;
    queues: { value: { name: string }[]; is_stale: boolean };
    outbox: { value: object };
    processes: { value: { live: { service: string; roles: string[] }[] } };
  }>('/ops');
  t.deepEqual(
    data.queues.value.map(({ name }) => name),
    [...queueNames],
  );
  t.deepEqual([typeof data.title, data.queues.is_stale], ['string', false]);
  const live = await eventually(async () => {
    const { processes } = await dataOf<typeof data>('/ops');
    return processes.value.live.length >= 2 && processes.value.live;
  });
  t.true(live.some(({ roles }) => roles.includes('mail')));
});

test('the overview says within what time nine of ten mails and log records were', async (t) => {
  await context.rows(
    `insert into metric_minutes (name, minute, value)
     select name, date_trunc('minute', now()) - interval '5 minutes', value
       from (values ('mail_delay_bucket{le="2.5"}', 90000), ('mail_delay_bucket{le="30"}', 5000),
                    ('log_lag_bucket{le="10"}', 80000), ('log_lag_bucket{le="+Inf"}', 20000)) as counted (name, value)`,
  );
  const { text } = await eventually(async () => {
    const page = await browser.get('/ops');
    return page.text.includes('9 of 10') && page;
  });
  t.regex(text, /<dt>Sent<\/dt><dd>\d+<small>last hour, 9 of 10 in 2\.5 s</);
  t.regex(
    text,
    /<dt>Log records<\/dt><dd>\d+<small>shipped, last hour, fewer than 9 of 10 in a day</,
  );
});

test('an operator finds a mail by its address and reads its history to the reply of the mail server', async (t) => {
  const { email } = await system.admins.registerAdmin();
  await system.mailbox.waitForMail(email);
  const page = await eventually(async () => {
    const { text } = await browser.get(`/ops/mail?q=${encodeURIComponent(email.toUpperCase())}`);
    return /badge good">(?:sent|delivered)/.test(text) && text;
  });
  const [, id = ''] = /\/ops\/mail\/messages\/([\da-f-]{36})/.exec(page) ?? [];
  const history = await browser.get(`/ops/mail/messages/${id}`);
  t.is(history.status, 200);
  // Nothing of the queue: a worker may be done before the API has recorded that it put the mail there.
  for (const words of ['Requested', 'Accepted by the mail server'])
    t.true(history.text.includes(words), words);
  t.regex(history.text, /<span class="reply" dir="auto">250 /);
  const byId = await browser.get(`/ops/mail?q=${id}`);
  t.is(byId.headers.get('location'), `/ops/mail/messages/${id}`);
  t.is((await browser.get('/ops/mail/messages/00000000-0000-4000-8000-000000000000')).status, 404);
  t.is((await browser.get('/ops/mail?q=nobody')).status, 200);
  const nothing = await dataOf<object>('/ops/mail?q=nobody');
  t.deepEqual(nothing, {
    ...(await dataOf<object>('/ops/mail?q=nobody@x.test')),
    address: 'nobody',
  });
});

test('dead letters are grouped by cause, counted first, and redriven by filter', async (t) => {
  const error = '554 5.7.1 listed by zen.example';
  await insertDead([
    { recipient: 'a@bulk.example', error: `${error} 1` },
    { recipient: 'b@bulk.example', error: `${error} 2`, redrives: 1 },
    { recipient: 'c@bulk.example', error: '552 5.2.2 quota', state: 'uncertain' },
  ]);
  const overview = await browser.get('/ops/mail');
  t.regex(overview.text, /cause=554\+5\.7\.1">554 5\.7\.1</);
  t.regex(overview.text, /Perhaps sent/);

  const filter = { state: 'dead', cause: '554 5.7.1', recipient: '@bulk.example' };
  const query = new URLSearchParams(filter).toString();
  const { total } = await dataOf<{ total: number }>(`/ops/mail/dead?${query}`);
  t.is(total, 2);
  const asked = await browser.get(`/ops/mail/dead/redrive?${query}`);
  t.regex(asked.text, /Redrive 2 mails\?/);
  t.is((await browser.post('/ops/mail/dead/redrive', { ...filter, rate: '10' })).status, 422);

  const started = await browser.post('/ops/mail/dead/redrive', {
    ...filter,
    rate: '1000',
    reason: 'delisted, says their postmaster',
  });
  t.is(started.status, 303);
  const path = started.headers.get('location') ?? '';
  t.regex(path, /^\/ops\/mail\/actions\/[\da-f-]{36}$/);
  const done = await eventually(async () => {
    const action = await dataOf<{ state: string; done: number; total: number; reason: string }>(
      path,
    );
    return action.state === 'completed' && action;
  });
  t.like(done, { done: 2, total: 2, reason: 'delisted, says their postmaster' });
  t.regex((await browser.get(path)).text, /<progress[^>]* max="2" value="2"/);
  t.is((await dataOf<{ total: number }>(`/ops/mail/dead?${query}`)).total, 0);
  const [event] = await auditOf('bulk_action_started');
  t.like(event?.details, { operator_id: operator.id, reason: 'delisted, says their postmaster' });
  t.is((await browser.post(`${path}/stop`, { reason: 'too late' })).status, 404);
});

test('one mail is redriven once: the second operator is told', async (t) => {
  const [id = ''] = await insertDead([{ recipient: 'twice@bulk.example', error: '550 5.1.1 no' }]);
  const path = `/ops/mail/messages/${id}`;
  t.regex((await browser.get(path)).text, /href="\/ops\/mail\/messages\/[\da-f-]+\/redrive"/);
  t.regex((await browser.get(`${path}/redrive`)).text, /550 5\.1\.1 no/);
  t.is((await browser.post(`${path}/redrive`, { reason: 'the mailbox exists now' })).status, 303);
  const second = await browser.post(`${path}/redrive`, { reason: 'me too' });
  t.is(second.status, 404);
  t.regex(second.text, /the message is not dead but/);
  const history = await eventually(async () => {
    const { text } = await browser.get(path);
    return text.includes('no longer needed') && text;
  });
  t.regex(history, /An operator redrove it/);
  t.regex(history, /the mailbox exists now/);
  t.regex(history, new RegExp(`Operator ${operator.id}<`));
});

test('a queue is paused and resumed with a reason, which the overview shows', async (t) => {
  t.is((await browser.post('/ops/queues/logs/pause', {})).status, 422, 'without a reason');
  t.is((await browser.post('/ops/queues/nothing/pause', { reason: 'x' })).status, 422);
  t.is((await browser.post('/ops/queues/logs/pause', { reason: 'stream moves' })).status, 303);
  t.is((await browser.get('/ops/queues')).text.split('stream moves').length, 2, 'once');
  await eventually(async () => (await browser.get('/ops')).text.includes('stream moves'));
  t.is((await browser.post('/ops/queues/logs/resume', { reason: 'moved' })).status, 303);
  t.notRegex((await browser.get('/ops/queues')).text, /stream moves/);
  const [event] = await auditOf('queue_resumed');
  t.like(event?.details, { queue: 'logs', reason: 'moved', operator_id: operator.id });
});

test('admins are found, their sessions ended, and a pending registration gets a new link', async (t) => {
  const admin = await system.admins.confirmedAdmin();
  const found = await browser.get(`/ops/admins?q=${encodeURIComponent(admin.email)}`);
  t.regex(found.text, new RegExp(`/ops/admins/${admin.id}"`));
  const page = await browser.get(`/ops/admins/${admin.id}`);
  t.true(page.text.includes(admin.name));
  t.regex(page.text, /Live sessions/);
  const ended = await browser.post(`/ops/admins/${admin.id}/end-sessions`, {
    reason: 'lost phone',
  });
  t.is(ended.status, 303);
  t.is((await admin.client.raw('GET', '/auth/me')).status, 401);

  const pending = await system.admins.registerAdmin();
  await system.mailbox.waitForMail(pending.email);
  const sent = await browser.post('/ops/confirmations/send', {
    address: pending.email,
    reason: 'she lost it',
  });
  t.is(sent.status, 303);
  const [event] = await auditOf('confirmation_requested_by_operator');
  t.like(event?.details, { reason: 'she lost it', operator_id: operator.id });
});

test('the schedule says what ran, and runs a task now', async (t) => {
  t.regex((await browser.get('/ops/schedule')).text, /purge-expired/);
  t.is(
    (await browser.post('/ops/schedule/purge-expired/run', { reason: 'disk is short' })).status,
    303,
  );
  await eventually(async () => {
    const tasks =
      await dataOf<{ task: string; requested_at: string | null; outcome: string }[]>(
        '/ops/schedule',
      );
    const task = tasks.find((each) => each.task === 'purge-expired');
    return task?.requested_at === null && task.outcome === 'completed';
  });
  t.is((await browser.post('/ops/schedule/drop-all/run', { reason: 'x' })).status, 422);
});

test('the audit is filtered, and downloaded as CSV', async (t) => {
  const reason = '=HYPERLINK("http://evil.test")';
  t.is((await browser.post('/ops/schedule/rotate-audit/run', { reason })).status, 303);
  const query = `event=task_requested&operatorId=${operator.id}&adminId=&text=&since=&until=`;
  const page = await browser.get(`/ops/audit?${query}`);
  t.is(page.status, 200);
  t.regex(page.text, />task requested<\/td>/);
  t.notRegex(page.text, />authn login success<\/td>/);
  const csv = await browser.get(`/ops/audit.csv?${query}`);
  t.regex(csv.headers.get('content-type') ?? '', /^text\/csv/);
  t.regex(csv.headers.get('content-disposition') ?? '', /attachment/);
  const lines = csv.text.trim().split('\r\n');
  t.regex(lines[0] ?? '', /^at,event,/);
  t.true(csv.text.includes(`"'=HYPERLINK(""http://evil.test"")"`));
});

test('a reader sees everything and no way to change it', async (t) => {
  const [id = ''] = await insertDead([{ recipient: 'reader@bulk.example', error: '550 no' }]);
  for (const path of [
    '/ops',
    '/ops/mail',
    `/ops/mail/messages/${id}`,
    '/ops/mail/dead',
    '/ops/mail/suppressions',
    '/ops/queues',
    '/ops/admins',
    `/ops/admins/${operator.id}`,
    '/ops/schedule',
    '/ops/audit',
    '/ops/runbook',
  ]) {
    const { status, text } = await reader.get(path);
    t.is(status, 200, path);
    const forms = [...text.matchAll(/<form[^>]*method="post"[^>]*action="([^"]+)"/g)];
    t.deepEqual(
      forms.map(([, action]) => action),
      ['/ops/logout'],
      path,
    );
    t.notRegex(
      text,
      /href="[^"]*\/(?:redrive|discard|lift|pause|resume|run|end-sessions|unlock|send)[?"]/,
      path,
    );
  }
  for (const path of [
    `/ops/mail/messages/${id}/redrive`,
    `/ops/mail/messages/${id}/discard`,
    '/ops/mail/dead/redrive',
    '/ops/mail/dead/discard',
    '/ops/mail/suppressions/lift',
    '/ops/queues/mail/pause',
    '/ops/queues/mail/resume',
    ...['end-sessions', 'unlock'].map((action) => `/ops/admins/${operator.id}/${action}`),
    '/ops/confirmations/send',
    '/ops/schedule/purge-expired/run',
  ]) {
    t.is((await reader.get(path)).status, 403, path);
    t.is((await reader.post(path, { reason: 'curious' })).status, 403, path);
    t.is((await browser.post(path, { csrf: 'none', reason: 'x' })).status, 403, `${path}: CSRF`);
  }
});

test('the runbook is served with the anchors that red states lead to', async (t) => {
  const { status, text } = await browser.get('/ops/runbook');
  t.is(status, 200);
  for (const anchor of ['dead-letters', 'redis-is-down', 'postgresql-is-down'])
    t.true(text.includes(`<h2 id="${anchor}">`), anchor);
  t.notRegex(text, /```|\]\(|<h2[^>]*>#/);
});

/** Opens the stream of a page's live updates and reads its events. */
function openStream(path: string, cookie: string) {
  const events: { event: string; data: string }[] = [];
  let response: IncomingMessage | undefined;
  let hasEnded = false;
  const headers = { cookie, accept: 'text/event-stream' };
  const sent = request(`${system.server.url}${path}`, { headers }, (answer) => {
    response = answer;
    let buffer = '';
    answer.setEncoding('utf8').on('data', (chunk: string) => {
      buffer += chunk;
      const blocks = buffer.split('\n\n');
      buffer = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
        if (event !== '') events.push({ event, data });
      }
    });
    answer.on('close', () => (hasEnded = true));
  });
  sent.on('error', () => (hasEnded = true));
  sent.end();
  return {
    events,
    status: () => response?.statusCode,
    type: () => response?.headers['content-type'],
    hasEnded: () => hasEnded,
    close: () => sent.destroy(),
  };
}

test('live updates bring the parts that changed, and end with the session', async (t) => {
  const watcher = openBrowser(system.server.url);
  await watcher.logIn(operator);
  const stream = openStream('/ops/live?page=overview', watcher.cookie);
  t.teardown(() => void stream.close());
  const [first] = await eventually(() => stream.events.length > 0 && stream.events);
  t.is(stream.status(), 200);
  t.regex(stream.type() ?? '', /^text\/event-stream/);
  t.is(first?.event, 'parts');
  const { parts } = JSON.parse(first?.data ?? '{}') as { parts: { id: string; html: string }[] };
  t.true(parts.some(({ id }) => id === 'verdict'));
  t.true(parts.every(({ html }) => !html.includes('<form')));

  const { cookie } = watcher;
  await watcher.post('/ops/logout');
  await eventually(() => stream.hasEnded());
  t.is(stream.events.at(-1)?.event, 'ended');
  const next = openStream('/ops/live?page=overview', cookie);
  t.teardown(() => void next.close());
  await eventually(() => next.status() !== undefined);
  t.is(next.status(), 401);
});

test('a session has so many streams and no more', async (t) => {
  const watcher = openBrowser(system.server.url);
  await watcher.logIn(operator);
  const streams = Array.from({ length: 8 }, () =>
    openStream('/ops/live?page=schedule', watcher.cookie),
  );
  t.teardown(() => streams.forEach(({ close }) => close()));
  await eventually(() => streams.every(({ status }) => status() !== undefined));
  const statuses = streams.map(({ status }) => status());
  t.is(statuses.filter((status) => status === 200).length, 6);
  t.is(statuses.filter((status) => status === 503).length, 2);
});
