import type { KeyRing } from '../../../shared/crypto/keys.js';
import type { OutgoingMail } from '../mail.port.js';
import type { MailLimit } from './mail-limits.js';

export interface ComposeDeps {
  /** The name of the service in mails. */
  readonly service: string;
  /** Base of every link. */
  readonly publicUrl: string;
  readonly confirmationKeys: KeyRing;
}

export interface ComposedMail extends Omit<OutgoingMail, 'id' | 'traceId'> {
  /** The kind of mail: stored with the message, and what its limit counts. */
  readonly template: string;
  /** Three an hour to one address unless given. */
  readonly limit?: MailLimit;
  /** The confirmation whose link the mail holds: sending it invalidates older ones. */
  readonly confirmationId?: string;
}

/** A mail to send, or why it is obsolete. */
export type Composed = ComposedMail | { readonly obsolete: string };
