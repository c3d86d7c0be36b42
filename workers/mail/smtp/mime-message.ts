import MimeNode from 'nodemailer/lib/mime-node';
import { foldLines } from 'nodemailer/lib/mime-funcs';
import { createQuotedPrintableEncoder } from './quoted-printable.js';

interface Mailbox {
  readonly name: string;
  readonly address: string;
}

/** A message with a text and an HTML version, of one author to one recipient. */
export interface MimeMessage {
  /** Identifies the message: in its boundary, which no line of the content may contain. */
  readonly id: string;
  readonly messageId: string;
  readonly from: Mailbox;
  readonly to: Mailbox;
  readonly date: Date;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** Further headers: constants and ids, never text of strangers. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Most lines of a mail are those of the one before. */
const encodeText = createQuotedPrintableEncoder();
const encodeHtml = createQuotedPrintableEncoder();

/**
 * A message in Internet Message Format (RFC 5322), multipart/alternative (RFC 2046) in ASCII with lines of 76 characters. Built
 * here because nodemailer's composer takes more processor time than all the rest of a delivery. The headers with text of
 * strangers are nodemailer's: they are encoded so that no name adds a recipient or a header.
 */
export function buildMimeMessage(message: MimeMessage): Buffer {
  const boundary = `=_${message.id}`;
  const { messageId, from, to, date, subject, text, html } = message;
  const lines = [
    header('From', from),
    header('To', to),
    header('Subject', subject),
    ...Object.entries(message.headers).map(([name, value]) => foldLines(`${name}: ${value}`, 76)),
    `Message-ID: ${messageId}`,
    `Date: ${date.toUTCString().replace('GMT', '+0000')}`,
    'MIME-Version: 1.0',
    'Content-Type: multipart/alternative;',
    ` boundary="${boundary}"`,
    '',
    ...part(boundary, 'text/plain', encodeText(text)),
    ...part(boundary, 'text/html', encodeHtml(html)),
    `--${boundary}--`,
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

/** An address that is written as it is, in one line. */
const PLAIN_ADDRESS = /^[\w.+-]{1,32}@[a-z0-9.-]{1,32}$/;

/** Most subjects, and the sender, are those of the mail before: encoding them anew would take as long as the content. */
const newest = new Map<string, { readonly value: string | Mailbox; readonly line: string }>();

function header(name: 'From' | 'To' | 'Subject', value: string | Mailbox): string {
  if (typeof value !== 'string' && value.name === '' && PLAIN_ADDRESS.test(value.address))
    return `${name}: ${value.address}`;
  const known = newest.get(name);
  if (known?.value === value) return known.line;
  const encoded = MimeNode.encodeHeaderValue(
    name,
    typeof value === 'string' ? value : { ...value },
  );
  const line = foldLines(`${name}: ${encoded}`, 76);
  newest.set(name, { value, line });
  return line;
}

const part = (boundary: string, type: string, encoded: string): string[] => [
  `--${boundary}`,
  `Content-Type: ${type}; charset=utf-8`,
  'Content-Transfer-Encoding: quoted-printable',
  '',
  encoded,
];
