import type { KeyRing } from '../../../shared/crypto/keys.js';
import type { Database } from '../../../shared/database/connect.js';
import type { OutgoingMail } from '../mail.port.js';
import type { MailLimit } from './mail-limits.js';

export interface ComposeDeps {
  readonly database: Database;
  /** The name of the service in mails. */
  readonly service: string;
  /** Base of every link. */
  readonly publicUrl: string;
  readonly confirmationKeys: KeyRing;
  /** Multiplies the limits on mails to one address. */
  readonly rateLimitScale: number;
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
