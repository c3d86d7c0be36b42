import type * as z from 'zod';
import {
  sendConfirmationMail,
  sendSecurityNotice,
  type MailContract,
  type SecurityNotice,
} from '../../../shared/jobs/mail-jobs.js';
import type { ComposeDeps, Composed } from './composition.js';
import { composeConfirmationMail } from './confirmation-mail.js';
import { renderMail, type RenderedMail } from './layout.js';
import type { MailFacts } from './mail-facts.js';
import { quoteName } from './wording.js';

/** Composes a mail from its payload and from what the rows say. */
export type Compose<Payload> = (
  deps: ComposeDeps,
  facts: MailFacts,
  payload: Payload,
  recipient: string | null,
) => Composed;

interface Mail<C extends MailContract> {
  readonly contract: C;
  readonly compose: Compose<z.output<C['schema']>>;
}

/** Every mail by the name of its contract: without an entry for each contract this does not compile. */
export const mails: { readonly [C in MailContract as C['name']]: Mail<C> } = {
  'send-confirmation-mail': { contract: sendConfirmationMail, compose: composeConfirmationMail },
  'send-security-notice': { contract: sendSecurityNotice, compose: composeSecurityNotice },
};

/**
 * Notifies an admin of a change, at the address that the account had at the time: the change may be of that very address,
 * and its owner has to hear of it.
 */
function composeSecurityNotice(
  { service, publicUrl }: ComposeDeps,
  { admin }: MailFacts,
  { notice }: z.output<(typeof sendSecurityNotice)['schema']>,
  recipient: string | null,
): Composed {
  if (!admin) return { obsolete: 'the admin is gone' };
  const { adminName: name, adminEmail } = admin;
  return {
    template: notice,
    to: { name, address: recipient ?? adminEmail },
    ...renderSecurityNotice({ service, name, publicUrl, notice }),
  };
}

export interface SecurityNoticeFacts {
  readonly service: string;
  readonly name: string;
  readonly publicUrl: string;
  readonly notice: SecurityNotice;
}

interface NoticeText {
  readonly subject: string;
  readonly text: string;
  readonly ifNotYou: string;
}

/** Sent only while the account exists: one about its deletion would be obsolete. */
const securityNotices: Readonly<Record<SecurityNotice, NoticeText>> = {
  password_changed: {
    subject: 'Your password has been changed',
    text: 'The password of your account has just been changed. All other sessions have ended.',
    ifNotYou:
      'Someone else knows your old password or reads your mail. Reset your password now, and change the password of your mailbox.',
  },
  email_change_requested: {
    subject: 'A new e-mail address was requested for your account',
    text: 'Someone who knows your password has asked to change the e-mail address of your account. It stays the same until the new address is confirmed.',
    ifNotYou:
      'Someone else knows your password. Log in and change it now: that ends their session.',
  },
  session_ended_by_reuse: {
    subject: 'We have ended one of your sessions',
    text: 'A token of one of your sessions was used twice. It may have been stolen, so we have ended the session. You can log in again.',
    ifNotYou:
      'If you did not copy the token yourself, check the device or program that was logged in: it may be compromised.',
  },
};

export function renderSecurityNotice({
  service,
  name,
  publicUrl,
  notice,
}: SecurityNoticeFacts): RenderedMail {
  const { subject, text, ifNotYou } = securityNotices[notice];
  return renderMail({
    service,
    subject,
    preview: text,
    blocks: [
      { kind: 'paragraph', text: `Hello ${quoteName(name)},` },
      { kind: 'paragraph', text },
      { kind: 'aside', title: 'If it was not you', text: ifNotYou },
      { kind: 'address', label: `${service} is at:`, url: publicUrl },
    ],
    footer: `Sent by ${service} because of a change to your account. This notice cannot be turned off.`,
  });
}
