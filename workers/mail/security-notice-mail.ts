import type { JobPayload } from '../../shared/queues/job-contract.js';
import type { sendSecurityNotice } from '../../shared/jobs/mail-jobs.js';
import { loadMailOwner } from './mail-owner.js';
import type { Composed, MailSources } from './mail-sources.js';
import { renderSecurityNotice } from './templates/security-notice.js';

/**
 * The mail that tells an admin about a change, at the address that the account had when it was made: it may be the change
 * of that very address that the owner has to hear of.
 */
export async function composeSecurityNotice(
  { database, service, publicUrl }: MailSources,
  { admin_id: id, notice }: JobPayload<typeof sendSecurityNotice>,
  recipient: string | null,
): Promise<Composed> {
  const owner = await loadMailOwner(database, id);
  if (!owner) return { obsolete: 'the admin is gone' };
  const { name, email } = owner;
  return {
    template: notice,
    to: { name, address: recipient ?? email },
    ...renderSecurityNotice({ service, name, publicUrl, notice }),
  };
}
