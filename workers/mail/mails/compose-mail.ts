import { canonicalAddress } from '../../../shared/identity/email-address.js';
import type { MailContract } from '../../../shared/jobs/mail-jobs.js';
import { isOtherVersion } from '../../../shared/queues/job-contract.js';
import { PermanentFailure } from '../../jobs/job-effects.js';
import type { ComposeDeps, Composed } from './composition.js';
import { USUAL_LIMIT, type CountMail } from './mail-limits.js';
import type { MailFacts } from './mail-facts.js';
import { mails, type Compose } from './mails.js';

/** The parts of an outbox message that say which mail is promised. */
interface PromisedMail {
  readonly id: string;
  readonly name: string;
  readonly payload: unknown;
  readonly recipient: string | null;
  readonly facts: MailFacts;
}

/**
 * Composes the mail that an outbox message promises. It is obsolete if the address is suppressed or over its limit. The only
 * mail to an address is not counted here: storing its template with the transmission is enough, for which it needs no
 * statement of its own. Only a limit of one mail must hold also while another worker is about to send the first.
 * @throws {PermanentFailure} when the payload does not fit the contract; a retryable error for a mail or a version of one that
 * this worker does not know: while a release is rolled out, a newer API's messages meet older workers.
 */
export async function composeMail(
  deps: ComposeDeps,
  countMail: CountMail,
  message: PromisedMail,
): Promise<Composed> {
  const mail = composeByName(deps, message);
  if ('obsolete' in mail) return mail;
  const { template, limit = USUAL_LIMIT, confirmationId } = mail;
  const address = canonicalAddress(mail.to.address);
  const isForRecipient = address === canonicalAddress(message.recipient ?? '');
  if (message.facts.isOnlyMail && isForRecipient && limit.max > 1) return mail;
  const due = { outboxId: message.id, template, limit, address, confirmationId };
  switch (await countMail(due)) {
    case 'counted':
      return mail;
    case 'suppressed':
      return { obsolete: 'the address is suppressed' };
    case 'over limit':
    case undefined:
      return { obsolete: 'the limit for these mails to this address is reached' };
  }
}

function composeByName(
  deps: ComposeDeps,
  { name, payload, recipient, facts }: PromisedMail,
): Composed {
  if (!isKnown(name)) throw new Error('this worker does not know this kind of mail');
  const { contract, compose } = mails[name];
  const parsed = contract.schema.safeParse(payload);
  if (!parsed.success) {
    if (isOtherVersion(payload, parsed.error))
      throw new Error('this worker does not know this version of the mail');
    throw new PermanentFailure('the payload does not fit its contract');
  }
  // The entry's type ties the payload to the contract; a lookup by a variable name loses that.
  return (compose as Compose<unknown>)(deps, facts, parsed.data, recipient);
}

const isKnown = (name: string): name is MailContract['name'] => Object.hasOwn(mails, name);
