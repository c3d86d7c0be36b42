import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Database } from '../../shared/database/connect.js';
import type { OutgoingMail } from './mail.port.js';

/** What every mail is made with. */
export interface MailSources {
  readonly database: Database;
  /** How the service calls itself in mails. */
  readonly service: string;
  /** Base of every link. */
  readonly publicUrl: string;
  readonly confirmationKeys: KeyRing;
}

/** A mail that is still wanted, or why nobody needs it any more. */
export type Composed = Omit<OutgoingMail, 'id'> | { readonly obsolete: string };
