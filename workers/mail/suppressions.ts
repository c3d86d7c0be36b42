import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import type { Transaction } from '../../shared/database/transaction.js';

/** Why an address gets no mail. */
export type SuppressionReason = 'bounce' | 'complaint';

/** The transaction that a change belongs to, and what has caused it. */
export interface SuppressionChange {
  readonly database: Database;
  readonly audit: Audit;
  readonly tx: Transaction;
  readonly cause: Cause;
  readonly subject: { readonly outboxId: string; readonly adminId: number | undefined };
}

/**
 * Sends no more mail to an address, canonical. Does nothing when none goes there already, except that a complaint takes
 * the place of a bounce: that one is forgiven with time.
 */
export async function suppress(
  change: SuppressionChange,
  suppression: { address: string; reason: SuppressionReason; eventId: string },
): Promise<void> {
  await apply(
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

/** Sends mail again to an address, canonical, that got none for this reason; does nothing otherwise. */
export async function liftSuppression(
  change: SuppressionChange,
  suppression: { address: string; reason: SuppressionReason },
): Promise<void> {
  await apply(
    change,
    'email_suppression_lifted',
    suppression.reason,
    `delete from suppressions where email_canonical = $address and reason = $reason returning email_canonical`,
    { ...suppression },
  );
}

/** True when no mail goes to the address, canonical. */
export async function isSuppressed(database: Database, address: string): Promise<boolean> {
  const rows = await database.query('select from suppressions where email_canonical = $address', {
    type: QueryTypes.SELECT,
    bind: { address },
  });
  return rows.length > 0;
}

/** The audit is told of what has changed, not of the address: the message leads to it. */
async function apply(
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
