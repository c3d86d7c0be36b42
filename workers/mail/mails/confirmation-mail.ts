import { deriveConfirmationToken } from '../../../shared/identity/confirmation-token.js';
import { MAX_LINKS_PER_HOUR } from '../../../shared/jobs/mail-jobs.js';
import type { ComposeDeps, Composed } from './composition.js';
import {
  renderAccountExistsMail,
  renderConfirmationMail,
  renderEmailChangeMail,
  renderFirstPasswordMail,
  renderPasswordResetMail,
} from './confirmation-texts.js';
import type { RenderedMail } from './layout.js';
import type { MailLimit, ProofTemplate } from './mail-limits.js';
import type { DueConfirmation, MailFacts } from './mail-facts.js';
import type { LinkMailFacts } from './wording.js';

const HOUR = 3_600;
export const ACCOUNT_EXISTS_LIMIT: MailLimit = { max: 1, seconds: 24 * HOUR };
/** Not shared with other links: strangers' accounts that want the address use up nothing that its owner needs. */
export const EMAIL_CHANGE_LIMIT: MailLimit = { max: MAX_LINKS_PER_HOUR, seconds: HOUR };

type LinkTemplate = ProofTemplate | 'email_change';

interface LinkMail {
  /** The page that the link leads to. */
  readonly path: string;
  readonly render: (facts: LinkMailFacts) => RenderedMail;
  readonly limit?: MailLimit;
}

const linkMails: Readonly<Record<LinkTemplate, LinkMail>> = {
  confirmation: { path: '/auth/confirm', render: renderConfirmationMail },
  password_reset: { path: '/auth/password/reset', render: renderPasswordResetMail },
  first_password: { path: '/auth/password/reset', render: renderFirstPasswordMail },
  email_change: {
    path: '/auth/confirm',
    render: renderEmailChangeMail,
    limit: EMAIL_CHANGE_LIMIT,
  },
};

/**
 * Composes the mail that is due to the owner of an address for a request that named it. The API enqueues the same message
 * for every address; what the owner gets is decided here, from the rows at the time. The link is minted here too: it
 * is stored neither in the database nor in the queue.
 */
export function composeConfirmationMail(
  { service, publicUrl, confirmationKeys }: ComposeDeps,
  { confirmation: row }: MailFacts,
): Composed {
  if (!row) return { obsolete: 'the confirmation or its admin is gone' };
  if (row.isUsed) return { obsolete: 'the link has been used' };
  if (row.isReplaced) return { obsolete: 'a newer link has replaced it' };
  if (row.isExpired) return { obsolete: 'the link has expired' };
  const due = mailDueFor(row);
  if ('obsolete' in due) return due;
  const { template, name } = due;
  const to = { name, address: row.ownerEmail ?? row.email };
  if (template === 'account_exists') {
    const mail = renderAccountExistsMail({ service, name, publicUrl });
    return { template, limit: ACCOUNT_EXISTS_LIMIT, to, ...mail };
  }
  const { path, render, ...limits } = linkMails[template];
  const { confirmationId: id, now, expiresAt } = row;
  const url = `${publicUrl}${path}?token=${deriveConfirmationToken(confirmationKeys, { ...row, id })}`;
  const mail = render({ service, name, url, now, expiresAt });
  return { template, ...limits, confirmationId: id, to, ...mail };
}

/** Which mail is due, and the name to show in it: empty for registrations, whose names strangers may have chosen. */
function mailDueFor({
  purpose,
  ownerName,
  requesterName,
  isRegistered,
  isRepeated,
}: DueConfirmation):
  | { readonly template: LinkTemplate | 'account_exists'; readonly name: string }
  | { readonly obsolete: string } {
  const unregistered = { obsolete: 'nobody has registered the address' };
  switch (purpose) {
    case 'registration':
    case 'resend':
      if (ownerName !== null) return { template: 'account_exists', name: ownerName };
      if (isRepeated) return { obsolete: 'the same registration already has its mail' };
      return isRegistered ? { template: 'confirmation', name: '' } : unregistered;
    case 'password_reset':
      if (ownerName !== null) return { template: 'password_reset', name: ownerName };
      return isRegistered ? { template: 'first_password', name: '' } : unregistered;
    case 'email_change':
      if (ownerName !== null) return { template: 'account_exists', name: ownerName };
      if (requesterName === null) return { obsolete: 'the admin is gone' };
      return { template: 'email_change', name: requesterName };
  }
}
