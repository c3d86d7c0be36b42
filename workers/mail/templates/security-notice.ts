import type { SecurityNotice } from '../../../shared/jobs/mail-jobs.js';
import { quoteStranger } from './html.js';
import { renderMail, type RenderedMail } from './layout.js';

/** What a notice tells. */
export interface SecurityNoticeFacts {
  readonly service: string;
  /** The admin's own. */
  readonly name: string;
  readonly publicUrl: string;
  readonly notice: SecurityNotice;
}

interface Wording {
  readonly subject: string;
  readonly text: string;
  readonly ifNotYou: string;
}

const wordings: Readonly<Record<SecurityNotice, Wording>> = {
  password_changed: {
    subject: 'Your password has been changed',
    text: 'The password of your account has just been changed. All other sessions have ended.',
    ifNotYou:
      'Somebody else knows your old password or reads your mail. Ask for a new password now, and change the password of your mailbox.',
  },
  email_change_requested: {
    subject: 'Your account is to use another e-mail address',
    text: 'Somebody who knows your password has asked that your account use another e-mail address. It stays with this one until the new one is confirmed.',
    ifNotYou:
      'Somebody else knows your password. Log in and change it now: that ends their session.',
  },
  session_ended_by_reuse: {
    subject: 'We have ended one of your sessions',
    text: 'A token of one of your sessions was used twice. That happens when it has been stolen, so the session has ended. You can log in again.',
    ifNotYou:
      'If you did not copy the token yourself, look for what could have: the device or program that was logged in.',
  },
};

/** The mail that tells an admin that something about its account has changed. */
export function renderSecurityNotice({
  service,
  name,
  publicUrl,
  notice,
}: SecurityNoticeFacts): RenderedMail {
  const { subject, text, ifNotYou } = wordings[notice];
  return renderMail({
    service,
    subject,
    preview: text,
    blocks: [
      { kind: 'paragraph', text: `Hello ${quoteStranger(name)},` },
      { kind: 'paragraph', text },
      { kind: 'aside', title: 'If it was not you', text: ifNotYou },
      { kind: 'address', label: `${service} is at:`, url: publicUrl },
    ],
    footer: `Sent by ${service} because of a change to your account. You cannot switch this notice off.`,
  });
}
