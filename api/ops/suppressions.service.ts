import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin, MailEvent, Suppression } from '../../shared/models/index.js';

export interface SuppressionDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/**
 * Lifts the suppression of an address. Mails that were skipped meanwhile are not sent.
 * @returns why it was suppressed.
 * @throws {AppError} `not_found` when the address is not suppressed.
 */
export function liftSuppression(
  { database, audit }: SuppressionDeps,
  { canonical }: EmailAddress,
  cause: Cause,
): Promise<Suppression['reason']> {
  return withTransaction(database, async (tx) => {
    const suppression = await Suppression.findByPk(canonical, {
      lock: tx.LOCK.UPDATE,
      transaction: tx,
    });
    if (!suppression) throw new AppError('not_found', { detail: 'the address is not suppressed' });
    const { reason, eventId } = suppression;
    await suppression.destroy({ transaction: tx });
    const admin = await Admin.findOne({ where: { emailCanonical: canonical }, transaction: tx });
    const event = eventId === null ? null : await MailEvent.findByPk(eventId, { transaction: tx });
    const outboxId = event?.outboxId ?? undefined;
    // The audit stores no addresses; the outbox message leads to it.
    const details = { reason, ...(outboxId !== undefined && { outbox_id: outboxId }) };
    await audit.record('email_suppression_lifted', cause, { adminId: admin?.id, details }, tx);
    return reason;
  });
}
