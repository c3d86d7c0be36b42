import { canonicalAddress } from '../../shared/identity/email-address.js';
import {
  sendConfirmationMail,
  sendSecurityNotice,
  type OutboxContract,
} from '../../shared/jobs/mail-jobs.js';
import type { JobPayload } from '../../shared/queues/job-contract.js';
import { PermanentFailure } from '../jobs/job-effects.js';
import { composeConfirmationMail } from './confirmation-mail.js';
import { countMail } from './mail-limits.js';
import type { Composed, MailSources } from './mail-sources.js';
import type { ClaimedMessage } from './outbox-claim.js';
import { composeSecurityNotice } from './security-notice-mail.js';
import { isSuppressed } from './suppressions.js';

/** The parts of an outbox message that tell which mail it promises. */
type Promised = Pick<ClaimedMessage, 'id' | 'name' | 'payload' | 'recipient'>;

/**
 * Makes the mail that an outbox message promises, from the rows as they are now. Nobody needs a mail to a suppressed
 * address, and no address gets more than its limit.
 * @throws {PermanentFailure} when the payload is not what the contract says.
 */
export async function composeMail(sources: MailSources, message: Promised): Promise<Composed> {
  const mail = await composeWanted(sources, message);
  if ('obsolete' in mail) return mail;
  const { database, rateLimitScale } = sources;
  const { template, confirmationId } = mail;
  const address = canonicalAddress(mail.to.address);
  if (await isSuppressed(database, address)) return { obsolete: 'the address is suppressed' };
  const due = { outboxId: message.id, template, address, confirmationId };
  return (await countMail(database, due, rateLimitScale))
    ? mail
    : { obsolete: 'the address has had enough of these mails for now' };
}

function composeWanted(
  sources: MailSources,
  { name, payload, recipient }: Promised,
): Promise<Composed> {
  const contractName = name as OutboxContract['name'];
  switch (contractName) {
    case sendConfirmationMail.name:
      return composeConfirmationMail(sources, readPayload(sendConfirmationMail, payload));
    case sendSecurityNotice.name:
      return composeSecurityNotice(sources, readPayload(sendSecurityNotice, payload), recipient);
    default:
      // While a release is rolled out, a newer API's messages meet older workers.
      contractName satisfies never;
      throw new Error('this worker does not know such mails');
  }
}

function readPayload<C extends OutboxContract>({ schema }: C, payload: unknown): JobPayload<C> {
  const parsed = schema.safeParse(payload);
  if (!parsed.success) throw new PermanentFailure('the payload does not fit its contract');
  return parsed.data as JobPayload<C>;
}
