import { QueryTypes } from 'sequelize';
import { v7 as uuidv7 } from 'uuid';
import type { Audit, Cause } from '../../../shared/audit/audit.js';
import type { Database } from '../../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../../shared/database/transaction.js';
import { canonicalAddress, parseEmailAddress } from '../../../shared/identity/email-address.js';
import { liftEarlierSuppression, suppress } from '../suppressions.js';
import type { SesEvent } from './ses-event.js';

export interface RecordSesEventDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** `again` when the event was recorded before, `unknown` when it is about none of our mails and not stored. */
export type Recorded =
  | { readonly result: 'recorded' | 'again'; readonly mail: MailRow }
  | { readonly result: 'unknown' };

/** How an event arrived. */
export interface Arrival {
  /** The id of the SQS or SNS message. */
  readonly messageId: string | undefined;
  readonly requestId: string;
}

/** The mail that an event is about. */
export interface MailRow {
  readonly id: string;
  readonly adminId: number | null;
  readonly recipient: string | null;
  readonly traceId: string;
}

/**
 * Records an event and its effects. Idempotent. A permanent bounce or a complaint suppresses the address that the mail was
 * promised to, and no other address in the event; a withdrawn complaint lifts the suppression. Any event proves that the
 * provider accepted the mail: one whose content was transmitted without an answer is settled as sent.
 */
export function recordSesEvent(
  { database, audit }: RecordSesEventDeps,
  event: SesEvent,
  { messageId, requestId }: Arrival,
): Promise<Recorded> {
  return withTransaction(database, async (tx) => {
    const mail = await findMail(database, tx, event);
    if (!mail) return { result: 'unknown' };
    const eventId = await insertEvent(database, tx, event, mail, messageId);
    if (eventId === undefined) return { result: 'again', mail };
    await settleUnanswered(database, tx, mail);
    const { recipient } = mail;
    const address = affectedAddress(event, mail);
    if (recipient !== null && address !== undefined) {
      const cause: Cause = { traceId: mail.traceId, requestId };
      const subject = { outboxId: mail.id, adminId: mail.adminId ?? undefined };
      const change = { database, audit, tx, cause, subject };
      const reason = event.type === 'bounced' ? 'bounce' : 'complaint';
      if (event.suppresses)
        await suppress(change, { address, recipient, reason, eventId, at: event.at });
      if (event.lifts)
        await liftEarlierSuppression(change, { address, reason: 'complaint', at: event.at });
    }
    return { result: 'recorded', mail };
  });
}

/** By the tag on the mail; the provider's id is known only once the worker has recorded it. */
async function findMail(
  database: Database,
  tx: Transaction,
  { outboxId, providerId }: SesEvent,
): Promise<MailRow | undefined> {
  const columns = `o.id, o.admin_id as "adminId", o.recipient, o.trace_id as "traceId"`;
  const find = async (from: string, bind: Record<string, string>): Promise<MailRow | undefined> => {
    const [row] = await database.query<MailRow>(`select ${columns} from ${from}`, {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind,
    });
    return row;
  };
  const tagged =
    outboxId === undefined
      ? undefined
      : await find('outbox o where o.id = $outboxId', { outboxId });
  return (
    tagged ??
    find(
      `deliveries d join outbox o on o.id = d.outbox_id
        where d.provider_id = $providerId order by d.id desc limit 1`,
      { providerId },
    )
  );
}

/** Resolves to the new row's id, or to `undefined` when the event or its message was recorded before. */
async function insertEvent(
  database: Database,
  tx: Transaction,
  { type, subtype, at, providerId, detail, fingerprint }: SesEvent,
  mail: MailRow,
  messageId: string | undefined,
): Promise<string | undefined> {
  const [row] = await database.query<{ id: string }>(
    `insert into mail_events (id, outbox_id, provider_id, type, subtype, at, detail, message_id, fingerprint)
     values ($id, $outboxId, $providerId, $type, $subtype, $at, $detail, $messageId, $fingerprint)
     on conflict do nothing
     returning id`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: {
        id: uuidv7(),
        outboxId: mail.id,
        subtype: subtype ?? null,
        detail: detail ?? null,
        messageId: messageId ?? null,
        ...{ providerId, type, at, fingerprint },
      },
    },
  );
  return row?.id;
}

/** A retry that is in flight stops before it transmits the content: its claim is gone. */
async function settleUnanswered(
  database: Database,
  tx: Transaction,
  { id }: MailRow,
): Promise<void> {
  await database.query(
    `update outbox
        set state = 'settled', outcome = 'sent', settled_at = now(), claimed_until = null, last_error = null
      where id = $id and state <> 'settled' and unanswered > 0`,
    { type: QueryTypes.UPDATE, transaction: tx, bind: { id } },
  );
}

/** The promised recipient, if it is in the event. */
function affectedAddress(event: SesEvent, { recipient }: MailRow): string | undefined {
  if (recipient === null) return undefined;
  const promised = canonical(recipient);
  return event.recipients.some((named) => canonical(named) === promised) ? promised : undefined;
}

/** Servers may write an address as `Name <address>`. */
function canonical(text: string): string {
  const bare = (/<([^<>]*)>\s*$/.exec(text)?.[1] ?? text).trim();
  return parseEmailAddress(bare)?.canonical ?? canonicalAddress(bare);
}
