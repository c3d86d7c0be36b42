import test from 'ava';
import { createAdmins } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createMailbox } from '../helpers/mailbox.js';
import type { Problem } from '../helpers/problem.js';
import { runWorker } from '../helpers/servers.js';
import { openSmtpServer } from '../helpers/smtp-server.js';

const context = useSharedContext('api');
const api = useApi(context);
const mailbox = createMailbox(context.stack);

const MARKUP = `<img src=x onerror=alert(1)>"'&<b>`;
const ESCAPED = '&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;&lt;b&gt;';

test.serial('S69 what somebody calls himself is text in the mails that others read', async (t) => {
  await runWorker(context, { scope: t });
  const { email, password } = await api.admins.registerAdmin({ name: MARKUP });
  const mail = await mailbox.waitForMail(email);
  const whole = `${mail.html}${mail.text}${JSON.stringify(mail.headers)}`;
  t.notRegex(whole, /onerror/, 'nothing that a stranger may have entered');

  // The owner of the address is told of a stranger who wanted it: by the owner's own name, not by the stranger's.
  const admins = createAdmins(context, api.client);
  const owner = await admins.confirmedAdmin({ name: `${MARKUP} the owner` });
  const stranger = { email: owner.email, name: `${MARKUP} a stranger`, password };
  t.is((await api.client.post('/auth/register', stranger)).status, 202);
  const notice = await mailbox.waitForMail(owner.email, { subject: /already have/i });
  t.true(notice.html.includes(`${ESCAPED} the owner`));
  t.notRegex(notice.html, /<(?:img|b|script)\b/i);
  t.true(notice.text.includes(`${MARKUP} the owner`));
  t.notRegex(`${notice.html}${notice.text}`, /stranger/);

  const moved = context.uniqueAddress();
  await owner.client.put('/auth/me', { email: moved, current_password: owner.password });
  const change = await mailbox.waitForMail(moved);
  t.true(change.html.includes(`${ESCAPED} the owner`));
  t.notRegex(change.html, /<(?:img|b|script)\b/i);
  t.true(change.text.includes(`${MARKUP} the owner`));
});

test.serial('S69 what a link or a form brings is text in the pages', async (t) => {
  const query = encodeURIComponent(`${MARKUP}</form><script>alert(1)</script>`);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const pages = [
    await api.client.get<string>(`/auth/confirm?token=${query}`),
    await api.client.get<string>(`/auth/password/reset?token=${query}`),
    await api.client.request<string>('POST', '/auth/confirm', {
      body: `token=${query}&password=${query}`,
      headers: form,
    }),
    await api.client.request<string>('POST', '/auth/confirm/resend', {
      body: `email=${query}`,
      headers: form,
    }),
    await api.client.request<string>('POST', '/auth/password/forgot', {
      body: `${query}=${query}`,
      headers: form,
    }),
    await api.client.request<string>('POST', '/auth/confirm', {
      body: `token=${query}&name=%00`,
      headers: form,
    }),
    await api.client.request<string>('POST', '/auth/password/reset', {
      body: `token=${query}&password=${query.slice(0, 10)}`,
      headers: form,
    }),
  ];
  for (const { text, headers, status } of pages) {
    t.is(headers.get('content-type'), 'text/html; charset=utf-8', String(status));
    t.notRegex(text, /<(?:img|script|b)\b|"'&</i);
    t.is(text.match(/<form/g)?.length ?? 0, text.match(/<\/form>/g)?.length ?? 0);
    const policy = headers.get('content-security-policy') ?? '';
    t.regex(
      policy,
      /^default-src 'none'; style-src 'sha256-[\w+/=]+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
    );
  }
  for (const page of pages.slice(-2)) t.true(page.text.includes(ESCAPED), 'the token, as text');
});

test.serial(
  'S73 an address or a name that could start a header, a recipient or a command is refused',
  async (t) => {
    const { name, password } = api.admins.applicant();
    const good = (): string => context.uniqueAddress();
    for (const email of [
      `${good()}\r\nBcc: evil@e.test`,
      `${good()}\nBcc: evil@e.test`,
      `${good()}, evil@e.test`,
      `${good()}; evil@e.test`,
      `${good()} evil@e.test`,
      `<${good()}>`,
      `"Evil" <${good()}>`,
      `evil@e.test(${good()})`,
      `"evil@e.test"@${context.mailDomain}`,
      `"a b"@${context.mailDomain}`,
      `${good()}\0`,
      `${good()}> NOTIFY=SUCCESS`,
      `evil%e.test@${context.mailDomain}\r\n.\r\n`,
      `@e.test:${good()}`,
      `evil!\r${good()}`,
    ]) {
      const answer = await api.client.post<Problem>('/auth/register', { email, name, password });
      t.deepEqual(
        [answer.status, answer.body.errors?.[0]?.pointer],
        [422, '#/email'],
        JSON.stringify(email),
      );
    }
    for (const bad of [
      'x\r\nBcc: evil@e.test',
      'x\ny',
      'x\0y',
      'x\u2028y',
      'x\u202ey',
      'x\u001b[2Jy',
      'x\u200by',
    ]) {
      const answer = await api.client.post<Problem>('/auth/register', {
        email: good(),
        name: bad,
        password,
      });
      t.deepEqual(
        [answer.status, answer.body.errors?.[0]?.pointer],
        [422, '#/name'],
        JSON.stringify(bad),
      );
    }
    t.deepEqual(
      await context.rows(
        `select from registrations where email like '%@e.test%' or email like 'evil%' or name like '%Bcc%'`,
      ),
      [],
    );
  },
);

test.serial('S73 a name adds no recipient and no header, whatever is in it', async (t) => {
  const smtp = await openSmtpServer(t);
  await runWorker(context, { scope: t, env: smtp.env });
  const names = [
    'a, evil@e.test',
    'a; evil@e.test',
    '<evil@e.test>',
    '"q" <evil@e.test>, b',
    '(c) evil@e.test',
    'Bcc: evil@e.test',
    'Group: evil@e.test;',
    String.raw`back\slash "quote`,
    'Žofie 李 🙂',
    'x'.repeat(100),
  ];
  const emails: string[] = [];
  for (const name of names) {
    const { email } = await api.admins.confirmedAdmin({ name });
    await api.client.post('/auth/password/forgot', { email });
    emails.push(email);
  }
  const mails = await eventually(() => {
    // The worker also sends what other files have asked for.
    const resets = smtp.taken.filter(
      ({ to, source }) =>
        to.some((address) => emails.includes(address) || !address.endsWith(context.mailDomain)) &&
        /^Subject: Choose a new password/m.test(source),
    );
    return resets.length === names.length && resets;
  });
  t.deepEqual(mails.flatMap(({ to }) => to).toSorted(), emails.toSorted());
  for (const { to, from, source } of mails) {
    t.is(to.length, 1);
    t.is(from, `no-reply@${context.mailDomain}`);
    const headers = source.slice(0, source.indexOf('\r\n\r\n')).replaceAll(/\r\n[ \t]+/g, ' ');
    for (const header of ['From', 'To', 'Subject', 'Message-ID', 'Date', 'MIME-Version']) {
      t.is(headers.match(new RegExp(`^${header}:`, 'gim'))?.length, 1, header);
    }
    t.notRegex(headers, /^(?:Bcc|Cc|Reply-To|Sender):/im);
    t.regex(headers, new RegExp(`^To: .*<${to[0]?.replaceAll('.', String.raw`\.`)}>$`, 'm'));
  }
});
