import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { uuidIn } from '../../shared/database/ids.js';
import type { Transaction } from '../../shared/database/transaction.js';
import { WITHDRAWN_COMPLAINT, type SuppressionReason } from '../../shared/models/index.js';

export interface SuppressionChange {
  readonly database: Database;
  readonly audit: Audit;
  readonly tx: Transaction;
  readonly cause: Cause;
  readonly subject: { readonly outboxId: string; readonly adminId: number | undefined };
}

/** A decision after the event, about any mail to its recipient. Events arrive in any order. */
const LIFTED_LATER = {
  /** An operator has readmitted the address. Begins at these decisions: they are few, and mails to one address may be many. */
  bounce: `
    select from (
      select ${uuidIn("details->>'outbox_id'")} as outbox_id from audit_events
       where event = 'email_suppression_lifted' and details->>'suppression' = 'bounce' and at > $at offset 0
    ) lifted
      join outbox o on o.id = lifted.outbox_id
     where lower(o.recipient) = lower($recipient)`,
  /** The recipient has withdrawn its complaint. */
  complaint: `
    select from outbox o join mail_events e on e.outbox_id = o.id
     where lower(o.recipient) = lower($recipient)
       and e.type = 'complained' and e.subtype = '${WITHDRAWN_COMPLAINT}' and e.at > $at`,
} as const satisfies Record<SuppressionReason, string>;

/**
 * Suppresses a canonical address: no more mail is sent to it, unless that was lifted after the event. Idempotent, except that
 * a complaint replaces a bounce, which would expire.
 */
export async function suppress(
  change: SuppressionChange,
  suppression: {
    /** Canonical. */
    address: string;
    /** The same as the outbox has it. */
    recipient: string;
    reason: SuppressionReason;
    eventId: string;
    /** When it bounced, or was complained about. */
    at: Date;
  },
): Promise<void> {
  await changeAndAudit(
    change,
    'email_suppressed',
    suppression.reason,
    `insert into suppressions (email_canonical, reason, event_id) select $address, $reason, $eventId
      where not exists (${LIFTED_LATER[suppression.reason]})
     on conflict (email_canonical) do update set reason = excluded.reason, event_id = excluded.event_id
       where suppressions.reason = 'bounce' and excluded.reason = 'complaint'
     returning email_canonical`,
    { ...suppression },
  );
}

/** Lifts the suppression of a canonical address if it has this reason, and no later event is the cause. */
export async function liftEarlierSuppression(
  change: SuppressionChange,
  suppression: { address: string; reason: SuppressionReason; at: Date },
): Promise<void> {
  await changeAndAudit(
    change,
    'email_suppression_lifted',
    suppression.reason,
    `delete from suppressions s
      where email_canonical = $address and reason = $reason
        and not exists (select from mail_events e where e.id = s.event_id and e.at > $at)
     returning email_canonical`,
    { ...suppression },
  );
}

/** The audit event names the message, not the address. */
async function changeAndAudit(
  { database, audit, tx, cause, subject }: SuppressionChange,
  event: 'email_suppressed' | 'email_suppression_lifted',
  reason: SuppressionReason,
  sql: string,
  bind: Record<string, string | Date>,
): Promise<void> {
  const rows = await database.query(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  if (rows.length === 0) return;
  const details = { reason, outbox_id: subject.outboxId };
  await audit.record(event, cause, { adminId: subject.adminId, details }, tx);
}
