import type { JobPayload } from '../../shared/jobs/define-job.js';
import type { sendAccountExistsMail } from '../../shared/jobs/index.js';
import { loadMailOwner } from './mail-owner.js';
import type { Composed, MailSources } from './mail-sources.js';
import { renderAccountExistsMail } from './templates/account-exists.js';

/** The mail to the owner of an account whose address somebody tried to register again. */
export async function composeAccountExistsMail(
  { database, service, publicUrl }: MailSources,
  { admin_id: id }: JobPayload<typeof sendAccountExistsMail>,
): Promise<Composed> {
  const owner = await loadMailOwner(database, id);
  if (!owner) return { obsolete: 'the admin is gone' };
  const { name, email } = owner;
  return { to: { name, address: email }, ...renderAccountExistsMail({ service, name, publicUrl }) };
}
