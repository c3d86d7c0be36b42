import test from 'ava';
import { createAdmins, mailedToken, type AdminFactory } from '../helpers/admins.js';
import { useSystem } from '../helpers/api.js';
import { createClient, type Answer, type ApiClient } from '../helpers/api-client.js';
import { useSharedContext } from '../helpers/context.js';
import { PUBLIC_URL } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { linksIn } from '../helpers/mailbox.js';
import { exchange } from '../helpers/raw-http.js';

const context = useSharedContext('limits');
// Limits as in production, behind a proxy whose word counts: then many clients can be played here.
const system = useSystem(context, { env: { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' } });

const CONFIRM = /confirm/i;

/** Which mail each request brings to an address of each kind; `undefined` for none. */
const due: Readonly<Record<string, Readonly<Record<string, RegExp | undefined>>>> = {
  register: {
    unknown: /^Confirm your e-mail address$/,
    registered: /^Confirm your e-mail address$/,
    confirmed: /^You already have an account$/,
    suppressed: undefined,
  },
  resend: {
    unknown: undefined,
    registered: /^Confirm your e-mail address$/,
    confirmed: /^You already have an account$/,
    suppressed: undefined,
  },
  forgot: {
    unknown: undefined,
    registered: /^Choose a password and confirm your address$/,
    confirmed: /^Choose a new password$/,
    suppressed: undefined,
  },
  'change of address': {
    unknown: /^Confirm your new e-mail address$/,
    registered: /^Confirm your new e-mail address$/,
    confirmed: /^You already have an account$/,
    suppressed: undefined,
  },
};

for (const [what, mails] of Object.entries(due)) {
  test.serial(`S02 what exists is told to its mailbox alone: ${what}`, async (t) => {
    const { mailbox } = system;
    const registered = await people().registerAdmin();
    await mailbox.waitForMail(registered.email, { subject: CONFIRM });
    const emails: Readonly<Record<string, string>> = {
      unknown: context.uniqueAddress(),
      registered: registered.email,
      confirmed: (await people().confirmedAdmin()).email,
      suppressed: (await people().confirmedAdmin()).email,
    };
    await context.rows(
      `insert into suppressions (email_canonical, reason) values ($1, 'complaint')`,
      [emails['suppressed']],
    );
    const mover = await people().confirmedAdmin();
    const ask: Readonly<Record<string, (email: string) => Promise<Answer>>> = {
      register: (email) => someone().post('/auth/register', people().applicant({ email })),
      resend: (email) => someone().post('/auth/confirm/resend', { email }),
      forgot: (email) => someone().post('/auth/password/forgot', { email }),
      // Three an hour for each who asks.
      'change of address': async (email) => {
        const asker = email === emails['confirmed'] ? await people().confirmedAdmin() : mover;
        const change = { email, current_password: asker.password };
        return asker.client.put('/auth/me', change);
      },
    };
    for (const [kind, subject] of Object.entries(mails)) {
      const email = emails[kind] ?? '';
      const before = (await mailbox.mailsTo(email)).length;
      t.true([200, 202].includes((await ask[what]?.(email))?.status ?? 0), kind);
      await eventually(() => isSettled(email));
      const subjects = (await mailbox.mailsTo(email)).slice(before).map((mail) => mail.subject);
      t.is(subjects.length, subject ? 1 : 0, `${kind}: ${subjects.join()}`);
      if (subject) t.regex(subjects[0] ?? '', subject, kind);
    }
  });
}

test.serial('S09 a mailed link leads to PUBLIC_URL, whatever the request says', async (t) => {
  const { admins, mailbox } = system;
  const path = '/auth/register';
  const forged = { host: 'evil.test:80@rollcall.example' };
  t.is(await post(path, forged, admins.applicant()), 400, 'which is no host');
  for (const [target, headers] of [
    [path, { host: 'evil.test' }],
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
  'S10 one client has only so many mails sent, to whomever, and the others are not held up',
  async (t) => {
    const { admins } = system;
    for (const [route, body] of [
      ['/auth/register', () => admins.applicant()],
      ['/auth/confirm/resend', () => ({ email: admins.applicant().email })],
      ['/auth/password/forgot', () => ({ email: admins.applicant().email })],
    ] as const) {
      const client = from(`10.0.1.${route.length}`);
      let answer = await client.post(route, body());
      for (let i = 0; i < 50 && answer.status === 202; i++)
        answer = await client.post(route, body());
      t.is(answer.status, 429, route);
      t.regex(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
      t.is((await from('10.0.2.1').post(route, body())).status, 202, 'others are not held up');
    }
  },
);

let clients = 0;
/** A client that nobody has been yet. */
const someone = (): ApiClient => from(`10.0.0.${(clients += 1)}`);
const people = (): AdminFactory => createAdmins(context, someone(), mailedToken(context));

const from = (ip: string): ApiClient => createClient(system.server.url, { 'x-forwarded-for': ip });

const isSettled = async (email: string): Promise<boolean> =>
  (await context.rows(`select from outbox where state <> 'settled' and recipient = $1`, [email]))
    .length === 0;

/** POSTs with a request line and a Host of one's own, which fetch would not send. */
async function post(
  target: string,
  headers: Readonly<Record<string, string>>,
  json: object,
): Promise<number> {
  const body = JSON.stringify(json);
  const lines = Object.entries({
    host: new URL(system.server.url).host,
    connection: 'close',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  const { status } = await exchange(
    system.server.url,
    [`POST ${target} HTTP/1.1`, ...lines, '', body].join('\r\n'),
  );
  return status;
}
