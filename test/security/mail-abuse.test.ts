import test from 'ava';
import { useSystem } from '../helpers/api.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { PUBLIC_URL } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { linksIn, type Mail } from '../helpers/mailbox.js';
import { exchange } from '../helpers/raw-http.js';

const context = useContext();
// Limits as in production, behind a proxy whose word counts: then many clients can be played here.
const system = useSystem(context, { env: { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' } });

const CONFIRM = /confirm/i;

test.serial('S02 asking for another link tells nothing of the address', async (t) => {
  const { admins, client, mailbox } = system;
  const confirmed = await admins.confirmedAdmin();
  const pending = await admins.registerAdmin();
  await mailbox.waitForMail(pending.email, { subject: CONFIRM });
  const unknown = admins.applicant();
  const texts = new Set<string>();
  const mails: number[] = [];
  for (const { email } of [unknown, pending, confirmed]) {
    const before = (await confirmationMails(email)).length;
    const answer = await client.post('/auth/confirm/resend', { email });
    texts.add(`${answer.status} ${answer.text}`);
    await eventually(nothingUnderWay);
    mails.push((await confirmationMails(email)).length - before);
  }
  t.deepEqual([...texts], ['202 {"status":"accepted"}']);
  t.deepEqual(mails, [0, 1, 0]);
});

test.serial('S09 a mailed link leads to PUBLIC_URL, whatever the request says', async (t) => {
  const { admins, mailbox } = system;
  const path = '/auth/register';
  for (const [target, headers] of [
    [path, { host: 'evil.test' }],
    [path, { host: 'evil.test:80@rollcall.example' }],
    [path, { 'x-forwarded-host': 'evil.test' }],
    [path, { forwarded: 'host=evil.test;proto=http' }],
    [path, { 'x-forwarded-proto': 'javascript' }],
    [`http://evil.test${path}`, { host: 'evil.test' }],
  ] as const) {
    const applicant = admins.applicant();
    const status = await post(target, headers, applicant);
    t.is(status, 202, JSON.stringify([target, headers]));
    const mail = await mailbox.waitForMail(applicant.email);
    const links = linksIn(mail);
    t.true(links.length > 0);
    for (const link of links) t.is(link.origin, PUBLIC_URL);
    t.notRegex(`${mail.text}${mail.html}${JSON.stringify(mail.headers)}`, /evil\.test|javascript:/);
  }
});

test.serial(
  'S10 nobody can have one address flooded with mail, and the answers do not tell',
  async (t) => {
    const { admins } = system;
    const { email } = admins.applicant();
    const answers = new Set<string>();
    for (let i = 0; i < 15; i++) {
      const client = from(`192.0.2.${i + 1}`);
      // Another name each time: each would be owed a link of its own.
      const registered = await client.post('/auth/register', admins.applicant({ email }));
      const resent = await client.post('/auth/confirm/resend', { email });
      for (const { status, text: body } of [registered, resent]) answers.add(`${status} ${body}`);
    }
    t.deepEqual([...answers], ['202 {"status":"accepted"}']);
    await eventually(nothingUnderWay);
    const mails = (await confirmationMails(email)).length;
    t.true(mails >= 1 && mails <= 3, `${mails} mails`);

    for (const [route, body] of [
      ['/auth/register', () => admins.applicant()],
      ['/auth/confirm/resend', () => ({ email: admins.applicant().email })],
      ['/auth/password/forgot', () => ({ email: admins.applicant().email })],
    ] as const) {
      const client = from(`198.51.100.${route.length}`);
      let answer = await client.post(route, body());
      for (let i = 0; i < 50 && answer.status === 202; i++)
        answer = await client.post(route, body());
      t.is(answer.status, 429, route);
      t.regex(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
      t.is((await from('203.0.113.1').post(route, body())).status, 202, 'others are not held up');
    }
  },
);

test.serial('S10 nor by many accounts that ask for the same address', async (t) => {
  const { admins } = system;
  const victim = context.uniqueAddress();
  const askers = [];
  for (let i = 0; i < 4; i++) askers.push(await admins.confirmedAdmin());
  const statuses = await Promise.all(
    askers.flatMap(({ client, password }) =>
      [1, 2].map(() => client.put('/auth/me', { email: victim, current_password: password })),
    ),
  );
  t.deepEqual(new Set(statuses.map(({ status }) => status)), new Set([200]));
  await eventually(nothingUnderWay);
  const links = await context.rows(`select from outbox where recipient = $1`, [victim]);
  t.is(links.length, 6);
});

const from = (ip: string): ApiClient => createClient(system.process.url, { 'x-forwarded-for': ip });

const confirmationMails = async (email: string): Promise<Mail[]> =>
  (await system.mailbox.mailsTo(email)).filter(({ subject }) => CONFIRM.test(subject));

const nothingUnderWay = async (): Promise<boolean> =>
  (await context.rows(`select from outbox where state <> 'settled'`)).length === 0;

/** POSTs with a request line and a Host of one's own, which fetch would not send. */
async function post(
  target: string,
  headers: Readonly<Record<string, string>>,
  json: object,
): Promise<number> {
  const body = JSON.stringify(json);
  const lines = Object.entries({
    host: new URL(system.process.url).host,
    connection: 'close',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  const { status } = await exchange(
    system.process.url,
    [`POST ${target} HTTP/1.1`, ...lines, '', body].join('\r\n'),
  );
  return status;
}
