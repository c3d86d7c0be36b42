import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin, MailEvent, Suppression } from '../../shared/models/index.js';

export interface SuppressionsDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** Addresses that no mail goes to, as operators deal with them. */
export function createSuppressionsService({ database, audit }: SuppressionsDeps) {
  /**
   * Sends mail to the address again; what was not sent meanwhile is not made up for.
   * @returns why there was none.
   * @throws {AppError} `not_found` when the address is not suppressed.
   */
  function lift({ canonical }: EmailAddress, cause: Cause): Promise<Suppression['reason']> {
    return withTransaction(database, async (tx) => {
      const suppression = await Suppression.findByPk(canonical, {
        lock: tx.LOCK.UPDATE,
        transaction: tx,
      });
      if (!suppression)
        throw new AppError('not_found', { detail: 'the address is not suppressed' });
      const { reason, eventId } = suppression;
      await suppression.destroy({ transaction: tx });
      const admin = await Admin.findOne({
        where: { emailCanonical: canonical },
        transaction: tx,
      });
      const event =
        eventId === null ? null : await MailEvent.findByPk(eventId, { transaction: tx });
      const outboxId = event?.outboxId ?? undefined;
      // As when the provider takes a complaint back: the message leads to the address, which the audit does not hold.
      const details = { reason, ...(outboxId !== undefined && { outbox_id: outboxId }) };
      await audit.record('email_suppression_lifted', cause, { adminId: admin?.id, details }, tx);
      return reason;
    });
  }

  return { lift };
}
