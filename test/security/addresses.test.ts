import test from 'ava';
import { useApi } from '../helpers/api.js';
import { mintedToken } from '../helpers/admins.js';
import { servedAtLast } from '../helpers/api-client.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createMailbox, tokenIn } from '../helpers/mailbox.js';
import type { Problem } from '../helpers/problem.js';
import { runWorker } from '../helpers/servers.js';

const context = useSharedContext('api');
const api = useApi(context);
const mailbox = createMailbox(context.stack);
const tokenFor = mintedToken(context);

/** So many that each spelling meets each path. */
const AT_ONCE = 12;

test.serial('S12 of many at once with one address, one wins', async (t) => {
  const { admins, client } = api;
  const applicant = admins.applicant();
  const [local = '', domain = ''] = applicant.email.split('@');
  const spellings = [local, local.toUpperCase(), mixed(local)].map((each) => `${each}@${domain}`);
  const answers = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, i) =>
      servedAtLast(() =>
        client.post('/auth/register', { ...applicant, email: spellings[i % spellings.length] }),
      ),
    ),
  );
  t.deepEqual([...new Set(answers.map(({ status }) => status))], [202]);
  // Not before: a mail that is sent while others still register is not superseded by theirs.
  await runWorker(context, { scope: t });
  await eventually(
    async () =>
      (
        await context.rows(
          `select from outbox where state <> 'settled' and lower(recipient) = lower($1)`,
          [applicant.email],
        )
      ).length === 0,
  );
  const mails = await Promise.all(spellings.map((spelling) => mailbox.mailsTo(spelling)));
  t.is(mails.flat().length, 1);

  const token = tokenIn(mails.flat()[0] ?? { text: '', subject: '' });
  const confirmed = await Promise.all(
    Array.from({ length: AT_ONCE }, () =>
      servedAtLast(() => client.post('/auth/confirm', { token, password: applicant.password })),
    ),
  );
  t.deepEqual([...new Set(confirmed.map(({ status }) => status))], [200]);
  t.is((await adminsAt(applicant.email)).length, 1);
  t.deepEqual(await registrationsAt(applicant.email), []);

  const [ann, bob] = [await admins.confirmedAdmin(), await admins.confirmedAdmin()];
  const email = context.uniqueAddress('user');
  const created = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, i) =>
      servedAtLast(() =>
        ann.client.post(i % 2 === 0 ? '/users' : '/user', {
          email: i % 3 === 0 ? email.toUpperCase() : email,
        }),
      ),
    ),
  );
  const statuses = created.map(({ status }) => status).toSorted((a, b) => a - b);
  t.deepEqual(statuses, [201, ...Array<number>(AT_ONCE - 1).fill(409)]);
  t.is((await bob.client.post('/users', { email })).status, 201, 'each admin has its own users');
});

/** What is no address to us, by what is wrong with it. */
const foreign: Readonly<Record<string, string>> = {
  'a Kelvin sign': 'mi\u212ae@x.test',
  'a dotted capital I': '\u0130van@x.test',
  'a Cyrillic letter': '\u0430@x.test',
  'a quoted local part': '"a b"@x.test',
  'an IPv4 literal': 'a@[127.0.0.1]',
  'an IPv6 literal': 'a@[IPv6:::1]',
  'a number for a domain': 'a@127.0.0.1',
  'full-width digits for a domain': 'a@\uff11\uff12\uff17.0.0.1',
  'a hexadecimal number for a domain': 'a@0x7f.1',
  'an empty label': 'a@x..y',
  'a label that begins with a hyphen': 'a@-x.test',
  'a single label': 'a@x',
  'a local part of 65 bytes': `${'l'.repeat(65)}@x.test`,
  'an address of 255 bytes': `a@${'d'.repeat(60)}.${'d'.repeat(60)}.${'d'.repeat(60)}.${'d'.repeat(60)}.${'d'.repeat(9)}`,
  'a trailing dot': 'a@x.test.',
  'a NUL in the local part': 'a\u0000b@x.test',
  'a NUL in the domain': 'a@x\u0000.test',
  'a tab': 'a@x.te\tst',
  'a zero-width space in the domain': 'a@x\u200b.test',
  'a zero-width space in the local part': 'a\u200bb@x.test',
  'a soft hyphen': 'a@x\u00ad.test',
  'a line break and a header': 'a@x.test\r\nBcc: b@x.test',
  'two addresses': 'a@x.test,b@x.test',
  'two at signs': 'a@b@x.test',
  'a comment': 'a(b)@x.test',
  'angle brackets': 'Ann <a@x.test>',
  'a space within it': 'a @x.test',
  'a zero-width space at the end': 'a@x.test\u200b',
  'an encoded word (field: simple-java-mail #652, cpython #152519)':
    '=?utf-8?q?victim=40example.org=3e=20?=x@example.com',
  'an encoded word alone': '=?utf-8?q?=61=62=63?=@example.com',
  'an encoded word in Base64, within a local part': 'a.=?UTF-8?B?YWJj?=.b@example.com',
  'two dots in a row': 'a..b@x.test',
  'nothing before the at sign': '@x.test',
  'nothing after it': 'a@',
  'what makes a careless pattern go on for ever': `${'a.'.repeat(120)}@`,
  'a domain that does': `a@${'a-'.repeat(120)}`,
};

test.serial(
  'S13 one address is one account, however it is written, and nothing but plain addresses is taken',
  async (t) => {
    const { admins, client } = api;
    const { mailDomain: domain } = context;
    for (const [one, other] of [
      [`USER@${domain.toUpperCase()}`, `user@${domain}`],
      ['a@BÜCHER.example', 'a@xn--bcher-kva.example'],
    ] as const) {
      const who = admins.applicant({ email: one });
      for (const email of [one, other])
        t.is((await client.post('/auth/register', { ...who, email })).status, 202, email);
      t.is((await registrationsAt(other)).length, 2, other);
      const { status, body } = await client.post<Problem>('/auth/login', {
        email: other,
        password: who.password,
      });
      t.deepEqual([status, body.code], [403, 'email_not_confirmed'], other);

      const link = { token: await tokenFor(other), password: who.password };
      t.is((await client.post('/auth/confirm', link)).status, 200, other);
      const logins = [
        await admins.logIn({ ...who, email: one }),
        await admins.logIn({ ...who, email: other }),
      ];
      t.is(new Set(logins.map(({ admin }) => admin.id)).size, 1, other);
      t.is((await adminsAt(other)).length, 1, other);
    }
    // Tags and dots may be another person: only the mail's own server knows.
    const others = [`user+a@${domain}`, `u.ser@${domain}`];
    for (const email of others) await admins.registerAdmin({ email });
    for (const email of others) t.is((await registrationsAt(email)).length, 1, email);

    const admin = await admins.confirmedAdmin();
    for (const [what, email] of Object.entries(foreign)) {
      const answers = [
        await client.post<Problem>('/auth/register', admins.applicant({ email })),
        await client.post<Problem>('/auth/login', { email, password: 'any password at all' }),
        await admin.client.put<Problem>('/auth/me', { email, current_password: admin.password }),
        await admin.client.post<Problem>('/users', { email }),
      ];
      for (const { status, body } of answers) {
        t.deepEqual(
          [status, body.code, body.errors?.map(({ pointer }) => pointer)],
          [422, 'validation_failed', ['#/email']],
          what,
        );
      }
    }
  },
);

test.serial(
  'S13 the blank that a keyboard adds to an address does not count (field: vaultwarden #2348, RocketChat #25906)',
  async (t) => {
    const { admins, client } = api;
    const who = admins.applicant();
    const typed = `\u00a0${who.email} `;
    t.is((await client.post('/auth/register', { ...who, email: typed })).status, 202);
    t.deepEqual(
      await context.rows('select email from registrations where email_canonical = $1', [who.email]),
      [{ email: who.email }],
    );
    const admin = await admins.confirmedAdmin();
    for (const blank of [' ', '\t', '\n', '\u00a0', '\u3000']) {
      const email = `${blank}${admin.email}${blank}`;
      const { status } = await client.post('/auth/login', { email, password: admin.password });
      t.is(status, 200, JSON.stringify(blank));
    }
    for (const path of ['/auth/confirm/resend', '/auth/password/forgot'])
      t.is((await client.post(path, { email: ` ${admin.email} ` })).status, 202, path);
    const email = context.uniqueAddress('user');
    const created = await admin.client.post<{ email: string }>('/users', { email: ` ${email}\n` });
    t.deepEqual([created.status, created.body.email], [201, email]);
    const next = admins.applicant().email;
    const changed = await admin.client.put<{ pending_email: string }>('/auth/me', {
      email: `${next} `,
      current_password: admin.password,
    });
    t.deepEqual([changed.status, changed.body.pending_email], [200, next]);
  },
);

/** Every other letter in upper case. */
const mixed = (text: string): string =>
  [...text].map((letter, i) => (i % 2 ? letter.toUpperCase() : letter)).join('');

const adminsAt = (email: string): Promise<{ id: number }[]> =>
  context.rows<{ id: number }>('select id from admins where email_canonical = $1', [email]);

const registrationsAt = (email: string): Promise<object[]> =>
  context.rows('select id from registrations where email_canonical = $1', [email]);
