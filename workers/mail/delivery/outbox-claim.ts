import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';

/** Identifies the outbox message of a job. */
export interface MessageKey {
  readonly id: string;
  readonly generation: number;
}

/** A message that this worker has claimed, and the delivery that was opened for this attempt. */
export interface ClaimedMessage extends MessageKey {
  readonly name: string;
  readonly payload: unknown;
  readonly adminId: number | null;
  readonly recipient: string | null;
  readonly traceId: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** How often the content was transmitted before without a known answer. */
  readonly unanswered: number;
  readonly deliveryId: string;
  /** When the claim expires, exactly as in the row: renewing it or claiming it anew changes the value. */
  claimedUntil: string;
}

/** The claim is still this worker's: no other has claimed the message since, and no operator has decided about it. */
export const IS_STILL_CLAIMED = `generation = $generation and state in ('pending', 'enqueued')
        and claimed_until = $claimedUntil::timestamptz`;

export type Claim =
  | { readonly kind: 'claimed'; readonly message: ClaimedMessage }
  /** Another worker's claim lasts for so long, by the database's clock. */
  | { readonly kind: 'busy'; readonly remainingMs: number }
  /** Settled, dead, uncertain, gone, or of another generation: there is nothing to do. */
  | { readonly kind: 'over' };

interface ClaimRow {
  readonly isOpen: boolean;
  readonly remainingMs: number | null;
  readonly deliveryId: string | null;
  readonly claimedUntil: string | null;
  readonly name: string;
  readonly payload: unknown;
  readonly adminId: number | null;
  readonly recipient: string | null;
  readonly traceId: string;
  readonly attempt: number;
  readonly unanswered: number;
}

/** The loser of two concurrent claims saw the row as it was before: it retries soon. */
const LOST_RACE_MS = 1_000;

/**
 * Claims a message and opens a delivery for the attempt, in one statement. A pending message can be claimed too: its job
 * may start before the message is marked as enqueued.
 */
export async function claimMessage(
  database: Database,
  { id, generation }: MessageKey,
  { worker, claimMs }: { readonly worker: string; readonly claimMs: number },
): Promise<Claim> {
  const [row] = await database.query<ClaimRow>(
    `with claimed as (
       update outbox
          set claimed_until = now() + $claimMs * interval '1 millisecond', attempts = attempts + 1
        where id = $id and generation = $generation and state in ('pending', 'enqueued')
          and (claimed_until is null or claimed_until <= now())
       returning id, attempts, claimed_until
     ), delivery as (
       insert into deliveries (outbox_id, attempt, worker)
       select id, attempts, $worker from claimed
       returning id
     )
     select o.state in ('pending', 'enqueued') as "isOpen",
            (extract(epoch from o.claimed_until - now()) * 1000)::float8 as "remainingMs",
            (select id from delivery)::text as "deliveryId",
            (select claimed_until from claimed)::text as "claimedUntil",
            o.name, o.payload, o.admin_id as "adminId", o.recipient, o.trace_id as "traceId", o.attempts + 1 as attempt,
            o.unanswered
       from outbox o
      where o.id = $id and o.generation = $generation`,
    { type: QueryTypes.SELECT, bind: { id, generation, worker, claimMs } },
  );
  if (!row?.isOpen) return { kind: 'over' };
  const { isOpen: _isOpen, remainingMs, deliveryId, claimedUntil, ...message } = row;
  if (deliveryId === null || claimedUntil === null)
    return { kind: 'busy', remainingMs: Math.max(remainingMs ?? 0, LOST_RACE_MS) };
  return { kind: 'claimed', message: { id, generation, ...message, deliveryId, claimedUntil } };
}

/**
 * Extends the claim by its full duration from now, even if it has expired. Resolves to the new expiry as in the row, or to
 * `undefined` when the message is not claimed by this worker any more.
 */
export async function renewClaim(
  database: Database,
  { id, generation, claimedUntil }: ClaimedMessage,
  claimMs: number,
): Promise<string | undefined> {
  const [row] = await database.query<{ claimedUntil: string }>(
    `update outbox set claimed_until = now() + $claimMs * interval '1 millisecond'
      where id = $id and ${IS_STILL_CLAIMED} returning claimed_until::text as "claimedUntil"`,
    { type: QueryTypes.SELECT, bind: { id, generation, claimedUntil, claimMs } },
  );
  return row?.claimedUntil;
}

/**
 * Counts a transmission of the content, before it starts: if the worker dies from here on, the row says that the server may
 * have accepted it. Resolves to the count, or to `undefined` when the message is not claimed by this worker any more.
 */
export async function recordTransmission(
  database: Database,
  { id, generation, claimedUntil }: ClaimedMessage,
): Promise<number | undefined> {
  const [row] = await database.query<{ unanswered: number }>(
    `update outbox set unanswered = unanswered + 1
      where id = $id and ${IS_STILL_CLAIMED} returning unanswered`,
    { type: QueryTypes.SELECT, bind: { id, generation, claimedUntil } },
  );
  return row?.unanswered;
}
