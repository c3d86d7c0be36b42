import * as z from 'zod';
import { eventually } from './eventually.js';
import { ask } from './http.js';
import type { TestStack } from './stack.js';

const Mail = z.object({
  id: z.string(),
  subject: z.string().default(''),
  text: z.string().default(''),
  html: z.string().default(''),
  headers: z.record(z.string(), z.unknown()),
  envelope: z.object({ to: z.array(z.object({ address: z.string() })) }),
});

/** A mail as it arrived in the shared mail catcher. */
export type Mail = z.output<typeof Mail>;

/** Which mail is awaited. */
export interface MailQuery {
  readonly subject?: RegExp;
  readonly withinMs?: number;
}

/** The mail catcher, as far as one file looks into it. */
export interface Mailbox {
  /** Every mail that the server took for this address, oldest first. */
  mailsTo(address: string): Promise<Mail[]>;
  /** Resolves to the newest mail to this address, as soon as there is one. */
  waitForMail(to: string, query?: MailQuery): Promise<Mail>;
}

/** Looks into the shared mail catcher, by recipient. */
export function createMailbox({ mailboxUrl }: Pick<TestStack, 'mailboxUrl'>): Mailbox {
  const mailsTo = async (address: string): Promise<Mail[]> => {
    const url = new URL('email', mailboxUrl.endsWith('/') ? mailboxUrl : `${mailboxUrl}/`);
    url.searchParams.set('envelope.to.address', address);
    const { text } = await ask(url, { signal: AbortSignal.timeout(30_000) });
    return z.array(Mail).parse(JSON.parse(text));
  };
  return {
    mailsTo,
    waitForMail: (to, { subject = /^/, ...patience } = {}) =>
      eventually(async () => (await mailsTo(to)).findLast((mail) => subject.test(mail.subject)), {
        of: `a mail to ${to} with a subject like ${String(subject)}`,
        ...patience,
      }),
  };
}

/** Every address (URL) in a mail's text. */
export function linksIn({ text }: Pick<Mail, 'text'>): URL[] {
  return (text.match(/https?:\/\/[^\s<>"]+/g) ?? []).map((link) => new URL(link));
}

/** The token in a mail's link. @throws when there is none. */
export function tokenIn(mail: Pick<Mail, 'text' | 'subject'>): string {
  const token = linksIn(mail)
    .map((link) => link.searchParams.get('token'))
    .find((found) => found !== null);
  if (!token) throw new Error(`no link with a token in the mail "${mail.subject}":\n${mail.text}`);
  return token;
}
