import { canonicalAddress } from '../../shared/identity/email-address.js';
import type { JobContract, JobPayload } from '../../shared/jobs/define-job.js';
import {
  sendAccountExistsMail,
  sendConfirmationMail,
  sendSecurityNotice,
  type OutboxContract,
} from '../../shared/jobs/index.js';
import { PermanentFailure } from '../jobs/job-effects.js';
import { composeAccountExistsMail } from './account-exists-mail.js';
import { composeConfirmationMail } from './confirmation-mail.js';
import { composeSecurityNotice } from './security-notice-mail.js';
import type { ClaimedMessage } from './outbox-claim.js';
import type { Composed, MailSources } from './mail-sources.js';
import { isSuppressed } from './suppressions.js';

/**
 * Makes the mail that an outbox message promises, from the rows as they are now. Nobody needs a mail to a suppressed
 * address.
 * @throws {PermanentFailure} when the payload is not what the contract says.
 */
export async function composeMail(
  sources: MailSources,
  message: Pick<ClaimedMessage, 'name' | 'payload' | 'recipient'>,
): Promise<Composed> {
  const mail = await composeWanted(sources, message);
  if ('obsolete' in mail) return mail;
  const isRefused = await isSuppressed(sources.database, canonicalAddress(mail.to.address));
  return isRefused ? { obsolete: 'the address is suppressed' } : mail;
}

function composeWanted(
  sources: MailSources,
  { name, payload, recipient }: Pick<ClaimedMessage, 'name' | 'payload' | 'recipient'>,
): Promise<Composed> {
  const contractName = name as OutboxContract['name'];
  switch (contractName) {
    case sendConfirmationMail.name:
      return composeConfirmationMail(sources, readPayload(sendConfirmationMail, payload));
    case sendAccountExistsMail.name:
      return composeAccountExistsMail(sources, readPayload(sendAccountExistsMail, payload));
    case sendSecurityNotice.name:
      return composeSecurityNotice(sources, readPayload(sendSecurityNotice, payload), recipient);
    default:
      // While a release is rolled out, a newer API's messages meet older workers.
      contractName satisfies never;
      throw new Error('this worker does not know such mails');
  }
}

function readPayload<C extends JobContract>({ schema }: C, payload: unknown): JobPayload<C> {
  const parsed = schema.safeParse(payload);
  if (!parsed.success) throw new PermanentFailure('the payload does not fit its contract');
  return parsed.data as JobPayload<C>;
}
