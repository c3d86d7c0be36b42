import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { deriveConfirmationToken } from '../../shared/identity/confirmation-token.js';
import type { JobPayload } from '../../shared/jobs/define-job.js';
import type { sendConfirmationMail } from '../../shared/jobs/index.js';
import type { ConfirmationPurpose } from '../../shared/models/index.js';
import type { Composed, LinkTemplate, MailSources } from './mail-sources.js';
import { renderAccountExistsMail } from './templates/account-exists.js';
import { renderConfirmationMail } from './templates/confirmation.js';
import { renderEmailChangeMail } from './templates/email-change.js';
import { renderFirstPasswordMail } from './templates/first-password.js';
import { renderPasswordResetMail } from './templates/password-reset.js';

/** A confirmation, and what is known of its address now. */
interface ConfirmationRow {
  readonly id: string;
  readonly purpose: ConfirmationPurpose;
  readonly email: string;
  readonly nonce: Buffer;
  readonly expiresAt: Date;
  readonly now: Date;
  readonly isUsed: boolean;
  readonly isReplaced: boolean;
  readonly isExpired: boolean;
  /** Another mail for the same registration is due anyway. */
  readonly isRepeated: boolean;
  /** Somebody has registered the address and nobody has confirmed it. */
  readonly isRegistered: boolean;
  /** The admin who has the address. */
  readonly ownerName: string | null;
  readonly ownerEmail: string | null;
  /** The admin who wants to have it. */
  readonly askerName: string | null;
}

/** Where the link of each mail leads, and the mail around it. */
const links = {
  confirmation: { path: '/auth/confirm', render: renderConfirmationMail },
  email_change: { path: '/auth/confirm', render: renderEmailChangeMail },
  password_reset: { path: '/auth/password/reset', render: renderPasswordResetMail },
  first_password: { path: '/auth/password/reset', render: renderFirstPasswordMail },
} as const satisfies Record<LinkTemplate, unknown>;

/**
 * The mail that is due to the owner of an address for what somebody has asked for it. The API asks for it in the same way
 * for every address; what the owner gets is decided here, from the rows as they are now. The link is made now as well: it
 * is kept neither in the database nor in the queue.
 */
export async function composeConfirmationMail(
  { database, service, publicUrl, confirmationKeys }: MailSources,
  { confirmation_id: id }: JobPayload<typeof sendConfirmationMail>,
): Promise<Composed> {
  const row = await loadConfirmation(database, id);
  if (!row) return { obsolete: 'the confirmation or its admin is gone' };
  if (row.isUsed) return { obsolete: 'the link has been used' };
  if (row.isReplaced) return { obsolete: 'a newer link has taken its place' };
  if (row.isExpired) return { obsolete: 'the link has expired' };
  const due = mailDueFor(row);
  if ('obsolete' in due) return due;
  const { template, name } = due;
  const to = { name, address: row.ownerEmail ?? row.email };
  if (template === 'account_exists')
    return { template, to, ...renderAccountExistsMail({ service, name, publicUrl }) };
  const { path, render } = links[template];
  const url = `${publicUrl}${path}?token=${deriveConfirmationToken(confirmationKeys, row)}`;
  const { now, expiresAt } = row;
  const mail = render({ service, name, url, now, expiresAt });
  return { template, confirmationId: row.id, to, ...mail };
}

/** Which mail it is, and the name that the account has which it is about: registrations' names are strangers' words. */
function mailDueFor({
  purpose,
  ownerName,
  askerName,
  isRegistered,
  isRepeated,
}: ConfirmationRow):
  | { readonly template: LinkTemplate | 'account_exists'; readonly name: string }
  | { readonly obsolete: string } {
  const nobody = { obsolete: 'nobody has registered the address' };
  switch (purpose) {
    case 'registration':
      if (ownerName !== null) return { template: 'account_exists', name: ownerName };
      if (isRepeated) return { obsolete: 'the same registration has its mail already' };
      return isRegistered ? { template: 'confirmation', name: '' } : nobody;
    case 'resend':
      if (ownerName !== null) return { obsolete: 'the address is confirmed' };
      return isRegistered ? { template: 'confirmation', name: '' } : nobody;
    case 'password_reset':
      if (ownerName !== null) return { template: 'password_reset', name: ownerName };
      return isRegistered ? { template: 'first_password', name: '' } : nobody;
    case 'email_change':
      if (ownerName !== null) return { template: 'account_exists', name: ownerName };
      if (askerName === null) return { obsolete: 'the admin is gone' };
      return { template: 'email_change', name: askerName };
  }
}

async function loadConfirmation(
  database: Database,
  id: string,
): Promise<ConfirmationRow | undefined> {
  const [row] = await database.query<ConfirmationRow>(
    `select c.id, c.purpose, c.email, c.nonce, c.expires_at as "expiresAt", now() as now,
            c.confirmed_at is not null as "isUsed",
            c.superseded_at is not null as "isReplaced",
            c.expires_at <= now() as "isExpired",
            c.repeated and exists (
              select from confirmations other
               where other.email_canonical = c.email_canonical and other.id <> c.id and not other.repeated
                 and other.purpose = 'registration'
                 and other.superseded_at is null and other.confirmed_at is null and other.expires_at > now()
                 and abs(extract(epoch from other.created_at - c.created_at)) < $repeatedWithinSeconds
            ) as "isRepeated",
            exists (select from registrations r where r.email_canonical = c.email_canonical) as "isRegistered",
            owner.name as "ownerName", owner.email as "ownerEmail",
            asker.name as "askerName"
       from confirmations c
       left join admins owner on owner.email_canonical = c.email_canonical
       left join admins asker on asker.id = c.admin_id
      where c.id = $id`,
    { type: QueryTypes.SELECT, bind: { id, repeatedWithinSeconds: REPEATED_WITHIN_SECONDS } },
  );
  return row;
}

/** Twice as long as the API remembers registrations that it has seen. */
const REPEATED_WITHIN_SECONDS = 60;
