import test from 'ava';
import {
  renderAccountExistsMail,
  renderConfirmationMail,
  renderEmailChangeMail,
  renderFirstPasswordMail,
  renderPasswordResetMail,
} from '../../workers/mail/mails/confirmation-texts.js';
import { renderSecurityNotice } from '../../workers/mail/mails/mails.js';
import { inWords, quoteName, utcTime } from '../../workers/mail/mails/wording.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { setUpDelivery } from './delivery-fixture.js';
import { insertAdmin, insertMessage } from './fixture.js';

shareProcess();

const now = new Date('2026-11-22T14:05:00Z');
const url = `https://rollcall.example/auth/confirm?token=ct_${'0'.repeat(32)}_${'x'.repeat(43)}`;
const facts = {
  service: 'Rollcall',
  name: 'Ada Lovelace',
  url,
  now,
  expiresAt: new Date('2026-11-23T14:04:57Z'),
};

test('the confirmation mail says what to do, until when, and what if it was not you', (t) => {
  const { subject, text } = renderConfirmationMail(facts);
  t.is(subject, 'Confirm your e-mail address');
  t.true(text.includes('enter the password that you chose'));
  t.true(text.includes('24 hours, until 23 November 2026 at 14:04 UTC'));
  t.true(text.includes('If it was not you'));
  t.is(text.split(url).length, 2, 'the link is there once');
});

test('the HTML says the same, with the link as a button and in full', (t) => {
  const { html } = renderConfirmationMail(facts);
  t.is(html.split(`href="${url}"`).length, 3);
  t.true(html.includes(`>${url}</a>`));
  t.true(html.includes('23 November 2026 at 14:04 UTC'));
});

test('mails to an address that nobody has confirmed repeat nothing that was registered', (t) => {
  const strangersWords = 'Win a prize';
  for (const render of [renderConfirmationMail, renderFirstPasswordMail]) {
    const { subject, text, html } = render({ ...facts, name: strangersWords });
    t.false(`${subject}${text}${html}`.includes(strangersWords));
  }
});

test('the mail to somebody who has only registered leads to a new password, and says what the link does', (t) => {
  const { subject, text } = renderFirstPasswordMail(facts);
  t.is(subject, 'Choose a password and confirm your address');
  t.true(text.includes('is registered but not confirmed yet'));
  t.true(text.includes('The link works once, for 24 hours, until 23 November 2026 at 14:04 UTC'));
  t.true(text.includes('If it was not you'));
});

const publicUrl = 'https://rollcall.example';
const mails = {
  confirmation: renderConfirmationMail(facts),
  'email-change': renderEmailChangeMail(facts),
  'first-password': renderFirstPasswordMail(facts),
  'password-reset': renderPasswordResetMail(facts),
  'account-exists': renderAccountExistsMail({ ...facts, publicUrl }),
  'security-notice': renderSecurityNotice({ ...facts, publicUrl, notice: 'password_changed' }),
};
for (const [name, { html, text }] of Object.entries(mails)) {
  test(`the ${name} mail loads nothing, runs nothing, and names its language and its tables' role`, (t) => {
    t.notRegex(html, /<(img|script|link|iframe|video|object|form|input)\b|@import|url\(/i);
    t.regex(html, /<html lang="en">/);
    t.is(html.match(/<table /g)?.length, html.match(/<table role="presentation"/g)?.length);
    t.regex(html, /prefers-color-scheme:\s*dark/);
    t.is(html.match(/<h1/g)?.length, 1);
    t.notRegex(html + text, /undefined|\[object|NaN/);
  });
}

test('the HTML is one column of tables: heading, paragraphs, a button, its address, and what else to know', (t) => {
  const { html } = renderConfirmationMail(facts);
  const [, body = ''] = html.split('<body');
  const outline = [...body.matchAll(/<(h1|p|a|strong)\b[^>]*>([^<]*)/g)].map(([, tag, text]) =>
    `${tag} ${text?.trim().slice(0, 24)}`.trim(),
  );
  t.deepEqual(outline, [
    'p Rollcall',
    'h1 Confirm your e-mail addr',
    'p Someone has registered a',
    'a Confirm my address',
    'p The link works for 24 ho',
    'p If the button does not w',
    'a https://rollcall.example',
    'p',
    'strong If it was not you',
    'p Sent by Rollcall because',
  ]);
});

test('a name cannot become markup', (t) => {
  const name = `<img src=x onerror=alert(1)> & "quoted" 'single'`;
  const { html, text } = renderEmailChangeMail({ ...facts, name });
  t.true(
    html.includes('&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quoted&quot; &#39;single&#39;'),
  );
  t.false(html.includes('<img'));
  t.true(text.includes(name));
});

test('a name cannot become a link, another line or a wall of text', (t) => {
  const name = `Win at http://evil.example\r\nor mail me@evil.example ${'x'.repeat(500)}`;
  const { text, html } = renderEmailChangeMail({ ...facts, name });
  for (const part of [text, html]) {
    t.notRegex(part, /http:\/\/evil|evil\.example|me@evil/);
    t.notRegex(part, /x{100}/);
  }
  t.notRegex(text, /\nor mail/);
});

test('names of people stay as they are', (t) => {
  for (const name of [
    ...['J. R. R. Tolkien', 'Žofie Nováková', '李小龍', 'O’Hara-Smith'],
    // Joiners: Sinhala, Persian, Bengali and an emoji need them.
    ...['ශ්\u200dරීමාලි', 'علی\u200cرضا', 'ক্\u200dষ', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}'],
  ]) {
    t.true(renderEmailChangeMail({ ...facts, name }).text.includes(`“${name}”`), name);
  }
});

test('a long name is cut between what is shown as one character and the next', (t) => {
  const family = '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}';
  for (const [name, shown] of [
    ['x'.repeat(80), 'x'.repeat(80)],
    ['x'.repeat(81), `${'x'.repeat(79)}…`],
    [`${'x'.repeat(76)}${family} y`, `${'x'.repeat(76)}…`],
    [`${'x'.repeat(78)}e\u0335 yz`, `${'x'.repeat(78)}…`],
    [`क${'\u093e'.repeat(90)}`, `क${'\u093e'.repeat(78)}…`],
  ] as const)
    t.is(quoteName(name), shown);
});

test('a name does not cover the lines above it with marks', (t) => {
  t.is(quoteName(`Z${'\u0310'.repeat(60)}oe`), `Z${'\u0310'.repeat(4)}oe`);
  t.is(quoteName('בְּרֵאשִׁית'), 'בְּרֵאשִׁית'.normalize('NFC'));
});

test('an address after a mark or a joiner is no link either', (t) => {
  t.is(quoteName('สวัสดี.example'), 'สวัสดี.\u2060example');
  t.is(quoteName('ക്\u200d.example'), 'ക്\u200d.\u2060example');
});

test('the account-exists mail is kind, names the service and holds no link but its address', (t) => {
  const { subject, text } = renderAccountExistsMail({ ...facts, publicUrl });
  t.is(subject, 'You already have an account');
  t.true(text.includes('Hello Ada Lovelace,'));
  t.true(text.includes('If it was not you'));
  t.deepEqual(text.match(/https?:\/\/\S+/g), [publicUrl]);
});

test('a time is told in words and in UTC', (t) => {
  const hour = 3_600_000;
  t.is(inWords(24 * hour - 3_000), '24 hours');
  t.is(inWords(hour), '60 minutes');
  t.is(inWords(90 * 60_000), '2 hours');
  t.is(inWords(72 * hour), '3 days');
  t.is(inWords(61_000), '1 minute');
  t.is(inWords(-5), '1 minute');
  t.is(utcTime(new Date('2026-01-02T03:04:05+02:00')), '2 January 2026 at 01:04 UTC');
});

const context = useContext();

test('a notice goes to the address that the account had at the change, though it has moved since', async (t) => {
  const { server, deliver } = await setUpDelivery(t, context);
  const { adminId, email } = await insertAdmin(context);
  const payload = { v: 1, admin_id: adminId, notice: 'email_change_requested' };
  const id = await insertMessage(context, adminId, 'send-security-notice', payload, {
    recipient: email,
  });
  const moved = context.uniqueAddress('moved');
  await context.rows('update admins set email = $2, email_canonical = $2 where id = $1', [
    adminId,
    moved,
  ]);
  t.is(await deliver({ id }), 'sent');
  t.deepEqual(
    server.taken.map(({ to }) => to),
    [[email]],
  );
});
