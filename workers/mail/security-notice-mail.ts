import type { JobPayload } from '../../shared/jobs/define-job.js';
import type { sendSecurityNotice } from '../../shared/jobs/index.js';
import { loadMailOwner } from './mail-owner.js';
import type { Composed, MailSources } from './mail-sources.js';
import { renderSecurityNotice } from './templates/security-notice.js';

/** The mail that tells an admin about a change, at the address that the account has now. */
export async function composeSecurityNotice(
  { database, service, publicUrl }: MailSources,
  { admin_id: id, notice }: JobPayload<typeof sendSecurityNotice>,
): Promise<Composed> {
  const owner = await loadMailOwner(database, id);
  if (!owner) return { obsolete: 'the admin is gone' };
  const { name, email } = owner;
  return {
    to: { name, address: email },
    ...renderSecurityNotice({ service, name, publicUrl, notice }),
  };
}
