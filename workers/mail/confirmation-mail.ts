import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { mintConfirmationToken } from '../../shared/identity/confirmation-token.js';
import type { JobPayload } from '../../shared/jobs/define-job.js';
import type { sendConfirmationMail } from '../../shared/jobs/index.js';
import type { ConfirmationPurpose } from '../../shared/models/index.js';
import type { Composed, MailSources } from './mail-sources.js';
import { renderConfirmationMail } from './templates/confirmation.js';
import { renderEmailChangeMail } from './templates/email-change.js';
import { renderPasswordResetMail } from './templates/password-reset.js';

interface ConfirmationRow {
  readonly id: string;
  readonly adminId: number;
  readonly purpose: ConfirmationPurpose;
  readonly email: string;
  readonly nonce: Buffer;
  readonly name: string;
  readonly isUsed: boolean;
  readonly isReplaced: boolean;
  readonly isExpired: boolean;
  readonly expiresAt: Date;
  readonly now: Date;
}

/** Where the link of each purpose leads, and the mail around it. */
const links = {
  registration: { path: '/auth/confirm', render: renderConfirmationMail },
  email_change: { path: '/auth/confirm', render: renderEmailChangeMail },
  password_reset: { path: '/auth/password/reset', render: renderPasswordResetMail },
} as const satisfies Record<ConfirmationPurpose, unknown>;

/** The mail with a confirmation's link. The link is made now: it is kept neither in the database nor in the queue. */
export async function composeConfirmationMail(
  { database, service, publicUrl, confirmationKeys }: MailSources,
  { confirmation_id: id }: JobPayload<typeof sendConfirmationMail>,
): Promise<Composed> {
  const row = await loadConfirmation(database, id);
  if (!row) return { obsolete: 'the confirmation or its admin is gone' };
  if (row.isUsed) return { obsolete: 'the link has been used' };
  if (row.isReplaced) return { obsolete: 'a newer link has taken its place' };
  if (row.isExpired) return { obsolete: 'the link has expired' };
  const { name, email, expiresAt, now } = row;
  const { path, render } = links[row.purpose];
  const url = `${publicUrl}${path}?token=${mintConfirmationToken(confirmationKeys, row)}`;
  return { to: { name, address: email }, ...render({ service, name, url, now, expiresAt }) };
}

async function loadConfirmation(
  database: Database,
  id: string,
): Promise<ConfirmationRow | undefined> {
  const [row] = await database.query<ConfirmationRow>(
    `select c.id, c.admin_id as "adminId", c.purpose, c.email, c.nonce,
            coalesce(c.name, a.name) as name,
            c.confirmed_at is not null as "isUsed",
            c.superseded_at is not null as "isReplaced",
            c.expires_at <= now() as "isExpired",
            c.expires_at as "expiresAt", now() as now
       from confirmations c join admins a on a.id = c.admin_id
      where c.id = $id`,
    { type: QueryTypes.SELECT, bind: { id } },
  );
  return row;
}
