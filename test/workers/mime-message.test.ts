import { randomBytes, randomUUID } from 'node:crypto';
import test from 'ava';
import { buildMimeMessage, type MimeMessage } from '../../workers/mail/smtp/mime-message.js';
import { createQuotedPrintableEncoder } from '../../workers/mail/smtp/quoted-printable.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

test('text comes back from quoted-printable as it was, in short lines of ASCII', (t) => {
  for (const text of [
    '',
    'plain',
    '=',
    'ends with a space \nand a tab\t\nand with =20',
    `a${'='.repeat(200)}`,
    `${'x'.repeat(73)}=`,
    `${'x'.repeat(74)}é${'x'.repeat(76)}`,
    'é'.repeat(500),
    '李🙂\u2060"q"\u0000\u007f',
    `${'word '.repeat(100)}\n\n.\n..\nFrom me\n`,
    randomBytes(5_000).toString('latin1').replaceAll('\r', '\n'),
  ]) {
    const encoded = createQuotedPrintableEncoder()(text);
    for (const line of encoded.split('\r\n')) {
      t.true(line.length <= 76, line);
      t.regex(line, /^(?:[\t\x20-\x3c\x3e-\x7e]|=[0-9A-F]{2}|=$)*$/);
      t.notRegex(line, /[\t ]$/);
    }
    t.is(decode(encoded), text);
  }
});

test('every line break becomes CRLF', (t) => {
  t.is(createQuotedPrintableEncoder()('a\nb\r\nc\rd'), 'a\r\nb\r\nc\r\nd');
});

test('lines that the text before had are encoded as in any other', (t) => {
  const encode = createQuotedPrintableEncoder();
  const texts = [
    'é\na = b\nthe end ',
    'é\na = c\nthe end ',
    'a = c\né\nthe end \nafter all',
    '',
    'é',
    'é',
  ];
  for (const text of texts) t.is(encode(text), createQuotedPrintableEncoder()(text));
});

test('a message has each header once, and its two parts', (t) => {
  const { id, source } = build({});
  const [head = '', ...parts] = source.split(`\r\n--=_${id}`);
  const names = head
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .trimEnd()
    .split('\r\n')
    .map((line) => line.slice(0, line.indexOf(':')));
  t.deepEqual(names, [
    'From',
    'To',
    'Subject',
    'Auto-Submitted',
    'Message-ID',
    'Date',
    'MIME-Version',
    'Content-Type',
  ]);
  t.is(parts.length, 3);
  t.is(parts[2], '--\r\n');
  t.regex(parts[0] ?? '', /^\r\nContent-Type: text\/plain; charset=utf-8\r\n.*\r\n\r\nThe text$/s);
  t.regex(parts[1] ?? '', /^\r\nContent-Type: text\/html; charset=utf-8\r\n.*<p>The HTML<\/p>$/s);
});

test('names and subjects stay in their headers, encoded', (t) => {
  for (const text of ['x\r\nBcc: evil@e.example', 'a, evil@e.example', 'Žofie 李 🙂'.repeat(20)]) {
    const { source } = build({ subject: text, to: { name: text, address: 'ada@x.example' } });
    const head = source.slice(0, source.indexOf('\r\n\r\n'));
    t.notRegex(head, /^Bcc:/im);
    t.regex(head, /^[\r\n\x20-\x7e]*$/);
    for (const line of head.split('\r\n')) t.true(line.length <= 78, line);
    t.regex(head.replaceAll(/\r\n[ \t]+/g, ' '), /^To: .*<ada@x\.example>$/m);
  }
});

test('an address without a name is written as it is, whatever it needs to be', (t) => {
  for (const address of [
    'ada@x.example',
    'a.b+c_d-e@x-y.example',
    `${'l'.repeat(64)}@${'d.'.repeat(40)}example`,
  ]) {
    const { source } = build({ to: { name: '', address } });
    t.is(/^To:([^]*?)\r\nSubject/m.exec(source)?.[1]?.replaceAll(/\s/g, ''), address);
    for (const line of source.split('\r\n')) t.true(line.length <= 78 || line.includes(address));
  }
  const { source } = build({ to: { name: '', address: '"a b"@x.example' } });
  t.regex(source, /^To: <"a b"@x\.example>\r$/m);
});

function build(change: Partial<MimeMessage>): { id: string; source: string } {
  const id = randomUUID();
  const message = {
    id,
    messageId: `<${id}@rollcall.example>`,
    from: { name: 'Rollcall', address: 'no-reply@rollcall.example' },
    to: { name: 'Ada', address: 'ada@x.example' },
    date: new Date(),
    subject: 'Hello',
    text: 'The text',
    html: '<p>The HTML</p>',
    headers: { 'Auto-Submitted': 'auto-generated' },
    ...change,
  };
  return { id, source: buildMimeMessage(message).toString('latin1') };
}

const decode = (encoded: string): string =>
  Buffer.from(
    encoded
      .replaceAll('=\r\n', '')
      .replaceAll('\r\n', '\n')
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      ),
    'latin1',
  ).toString();
