import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import type { Transaction } from '../../shared/database/transaction.js';

export type SuppressionReason = 'bounce' | 'complaint';

export interface SuppressionChange {
  readonly database: Database;
  readonly audit: Audit;
  readonly tx: Transaction;
  readonly cause: Cause;
  readonly subject: { readonly outboxId: string; readonly adminId: number | undefined };
}

/**
 * Suppresses a canonical address: no more mail is sent to it. Idempotent, except that a complaint replaces a bounce, which
 * would expire.
 */
export async function suppress(
  change: SuppressionChange,
  suppression: { address: string; reason: SuppressionReason; eventId: string },
): Promise<void> {
  await changeAndAudit(
    change,
    'email_suppressed',
    suppression.reason,
    `insert into suppressions (email_canonical, reason, event_id) values ($address, $reason, $eventId)
     on conflict (email_canonical) do update set reason = excluded.reason, event_id = excluded.event_id
       where suppressions.reason = 'bounce' and excluded.reason = 'complaint'
     returning email_canonical`,
    { ...suppression },
  );
}

/** Lifts the suppression of a canonical address if it has this reason. */
export async function liftSuppression(
  change: SuppressionChange,
  suppression: { address: string; reason: SuppressionReason },
): Promise<void> {
  await changeAndAudit(
    change,
    'email_suppression_lifted',
    suppression.reason,
    `delete from suppressions where email_canonical = $address and reason = $reason returning email_canonical`,
    { ...suppression },
  );
}

/** The audit event names the message, not the address. */
async function changeAndAudit(
  { database, audit, tx, cause, subject }: SuppressionChange,
  event: 'email_suppressed' | 'email_suppression_lifted',
  reason: SuppressionReason,
  sql: string,
  bind: Record<string, string>,
): Promise<void> {
  const rows = await database.query(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  if (rows.length === 0) return;
  const details = { reason, outbox_id: subject.outboxId };
  await audit.record(event, cause, { adminId: subject.adminId, details }, tx);
}
