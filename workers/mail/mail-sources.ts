import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Database } from '../../shared/database/connect.js';
import type { SecurityNotice } from '../../shared/jobs/mail-jobs.js';
import type { OutgoingMail } from './mail.port.js';

/** What every mail is made with. */
export interface MailSources {
  readonly database: Database;
  /** How the service calls itself in mails. */
  readonly service: string;
  /** Base of every link. */
  readonly publicUrl: string;
  readonly confirmationKeys: KeyRing;
  /** Multiplies the limits on mails to one address. */
  readonly rateLimitScale: number;
}

/** Mails that hold a link. */
export type LinkTemplate = 'confirmation' | 'email_change' | 'password_reset' | 'first_password';

/** Every kind of mail. */
export type MailTemplate = LinkTemplate | 'account_exists' | SecurityNotice;

/** A mail that is still wanted, or why nobody needs it any more. */
export type Composed =
  | (Omit<OutgoingMail, 'id'> & {
      readonly template: MailTemplate;
      /** The confirmation whose link it holds: once it is sent, older ones are worthless. */
      readonly confirmationId?: string;
    })
  | { readonly obsolete: string };
