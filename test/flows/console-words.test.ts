import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { openBrowser, type ConsoleBrowser } from '../helpers/console.js';
import { useSharedContext } from '../helpers/context.js';

const context = useSharedContext('api');
const operatorEmail = `words-operator@${context.mailDomain}`;
const api = useApi(context, { env: { OPERATOR_EMAILS: operatorEmail } });

let browser: ConsoleBrowser;
let operator: TestAdmin;

test.serial.before('log in', async () => {
  operator = await api.admins.confirmedAdmin({ email: operatorEmail });
  browser = openBrowser(api.server.url);
  await browser.logIn(operator);
});

test('the charts of the last hour say until when they count', async (t) => {
  const { text } = await browser.get('/ops');
  const until = /\d+ mails? sent, \d+ deferred, \d+ given up, until (\d\d:\d\d)</.exec(text)?.[1];
  const ends = [60, 0].map((seconds) => Date.now() - seconds * 1_000).map(clock);
  t.true(ends.includes(until ?? ''), `${until} is one of ${ends.join(', ')}`);
  t.regex(text, /\d+ in all, \d+ failed</, 'the last day counts to now');
});

test('what is asked about many mails agrees with their number', async (t) => {
  for (const address of ['one@words.example', 'two@words.example']) await insertDead(address);
  const textOf = async (path: string): Promise<string> => (await browser.get(path)).text;
  const all = '/ops/mail/dead/redrive?recipient=@words.example';
  t.regex(await textOf(all), /2 mails match now \(.*\)\. They are retried, the oldest first\./);
  const one = 'recipient=one@words.example';
  t.regex(
    await textOf(`/ops/mail/dead/redrive?${one}`),
    /1 mail matches now \(.*\)\. It is retried\./,
  );
  t.regex(await textOf(`/ops/mail/dead/discard?${one}`), /It is settled and never sent/);
  t.regex(await textOf(`/ops/mail/dead?${one}`), />1 mail matches</);
});

test('a filter that cannot be read is refused by the names of its fields', async (t) => {
  const { status, text } = await browser.get('/ops/audit?adminId=abc&operatorId=0');
  t.is(status, 422);
  t.regex(text, /<p>About admin: must be a number; By operator: must be 1 or more<\/p>/);
});

/** Questions, each with what else its answer carries. */
const questions = {
  '/ops/queues/mail/pause': {},
  '/ops/queues/mail/resume': {},
  '/ops/schedule/purge-expired/run': {},
  '/ops/mail/dead/redrive': { state: 'dead', recipient: '@nobody.example', rate: '12' },
  '/ops/mail/dead/discard': { state: 'dead', since: '2026-11-29T03:04:05.000Z', rate: '13' },
  '/ops/mail/suppressions/lift': { address: 'nobody@words.example' },
  '/ops/confirmations/send': { address: 'nobody@words.example' },
} as const;

test('an answer at fault is asked for again, with the fault at its field and what was entered', async (t) => {
  const [message] = await insertDead('reason@asked.example');
  const asked = {
    ...questions,
    [`/ops/mail/messages/${message?.id}/redrive`]: {},
    [`/ops/admins/${operator.id}/end-sessions`]: {},
    [`/ops/admins/${operator.id}/unlock`]: {},
  };
  for (const [path, fields] of Object.entries(asked)) {
    const { status, text } = await browser.post(path, { ...fields, reason: '  \t ' });
    t.is(status, 422, path);
    t.true(text.includes(`<form method="post" action="${path}">`), path);
    t.regex(
      text,
      / name="reason" value="  \\u0009 " aria-describedby="reason-fault reason-hint" aria-invalid="true" autofocus>/,
    );
    t.regex(
      text,
      /id="reason-fault">This must give a reason, in one line of at most 500 characters\.</,
    );
    for (const [name, value] of Object.entries(fields))
      t.true(text.includes(`name="${name}" value="${value}"`), `${path}: ${name}`);
    const data = await browser.post(
      path,
      { ...fields, reason: ' ' },
      { accept: 'application/json' },
    );
    t.like(JSON.parse(data.text), { code: 'validation_failed', status: 422 }, path);
  }
  const bulk = { ...questions['/ops/mail/dead/redrive'], rate: '0', reason: 'they are back' };
  const { text } = await browser.post('/ops/mail/dead/redrive', bulk);
  t.regex(
    text,
    /name="rate" value="0" aria-describedby="rate-fault" aria-invalid="true" autofocus>/,
  );
  t.regex(text, /id="rate-fault">This must be more than 0, up to 1000\./);
  t.regex(text, /name="reason" value="they are back" aria-describedby="reason-hint">/);
  const unknown = await browser.post('/ops/queues/mail/pause', { reason: '', more: '1' });
  t.is(unknown.status, 422);
  t.regex(unknown.text, /more: is not a known field/);
});

test('a page with live updates says what is missing without them; others do not', async (t) => {
  const overview = (await browser.get('/ops')).text;
  t.regex(overview, /<header class="bar">[^]*<p id="live" role="status"><\/p>[^]*<\/header>/);
  t.regex(overview, /<p id="shown" hidden>/);
  const [, now = ''] = /<body [^>]*data-now="([^"]+)"/.exec(overview) ?? [];
  t.true(Math.abs(Date.parse(now) - Date.now()) < 60_000, now);
  t.notRegex((await browser.get('/ops/mail')).text, /id="live"|id="shown"|class="live"/);
});

test('no confirmation is promised to a suppressed address: the way to lift that is shown', async (t) => {
  const { email: address } = await api.admins.registerAdmin();
  await context.rows(
    `insert into suppressions (email_canonical, reason) values (lower($1), 'bounce')`,
    [address],
  );
  const path = '/ops/confirmations/send';
  const reason = 'she lost it';
  const asked = () =>
    context.rows(`select from audit_events where details ->> 'reason' = $1`, [reason]);
  for (const { status, text } of [
    await browser.get(`${path}?address=${encodeURIComponent(address)}`),
    await browser.post(path, { address, reason }),
  ]) {
    t.is(status, 422);
    t.regex(text, /The address is suppressed/);
    t.regex(text, /href="\/ops\/mail\/suppressions\/lift\?address=/);
  }
  const data = await browser.post(path, { address, reason }, { accept: 'application/json' });
  t.is(data.status, 422);
  t.regex(data.text, /"pointer":"#\/address","detail":"is suppressed/);
  t.is((await asked()).length, 0);
  const lift = { address, reason: 'the mailbox exists' };
  t.is((await browser.post('/ops/mail/suppressions/lift', lift)).status, 303);
  t.is((await browser.post(path, { address, reason })).status, 303);
  t.is((await asked()).length, 1);
});

const clock = (at: number): string => new Date(at).toISOString().slice(11, 16);

const insertDead = (recipient: string) =>
  context.rows<{ id: string }>(
    `insert into outbox (id, name, payload, recipient, trace_id, state, attempts, last_error, given_up_at)
     values (gen_random_uuid(), 'send-security-notice', '{}', $1, md5($1), 'dead', 1, '550 no', now()) returning id`,
    [recipient],
  );
