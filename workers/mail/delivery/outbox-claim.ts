import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';

/** An outbox message by the job that stands for it. */
export interface MessageKey {
  readonly id: string;
  readonly generation: number;
}

/** A message that is this worker's alone until the claim runs out, and the delivery that was opened for this try. */
export interface ClaimedMessage extends MessageKey {
  readonly name: string;
  readonly payload: unknown;
  readonly adminId: number | null;
  readonly recipient: string | null;
  readonly traceId: string;
  /** 1 for the first try. */
  readonly attempt: number;
  /** How often the content was handed over before, and no answer is known. */
  readonly unanswered: number;
  readonly deliveryId: string;
  /** Until when, as the row has it: whoever claims it later changes that, and so does its owner. */
  claimedUntil: string;
}

/** Nobody has claimed the message since, and no operator has decided about it. */
export const IS_STILL_OURS = `generation = $generation and state in ('pending', 'enqueued')
        and claimed_until = $claimedUntil::timestamptz`;

/** What came of claiming a message. */
export type Claim =
  | { readonly kind: 'claimed'; readonly message: ClaimedMessage }
  /** Somebody else has it for so long, by the database's clock. */
  | { readonly kind: 'busy'; readonly remainingMs: number }
  /** Settled, dead, uncertain, gone, or of another generation: nothing is to be done. */
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

/** Two claims at once: the loser saw the row as it was before, and need not wait long to see it as it is. */
const LOST_RACE_MS = 1_000;

/**
 * Claims a message and opens a delivery for the try, in one statement. A pending message can be claimed too: its job
 * may overtake the mark that it is enqueued.
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
 * Prolongs the claim from now on, even if it has run out. Resolves to until when, as the row has it, or to `undefined`
 * when the message is not ours any more.
 */
export async function renewClaim(
  database: Database,
  { id, generation, claimedUntil }: ClaimedMessage,
  claimMs: number,
): Promise<string | undefined> {
  const [row] = await database.query<{ claimedUntil: string }>(
    `update outbox set claimed_until = now() + $claimMs * interval '1 millisecond'
      where id = $id and ${IS_STILL_OURS} returning claimed_until::text as "claimedUntil"`,
    { type: QueryTypes.SELECT, bind: { id, generation, claimedUntil, claimMs } },
  );
  return row?.claimedUntil;
}

/**
 * Counts that the content is handed over, before it is: whoever dies from here on leaves behind that the server may have
 * it. Resolves to how often that is so, or to `undefined` when the message is not ours any more.
 */
export async function handOverContent(
  database: Database,
  { id, generation, claimedUntil }: ClaimedMessage,
): Promise<number | undefined> {
  const [row] = await database.query<{ unanswered: number }>(
    `update outbox set unanswered = unanswered + 1
      where id = $id and ${IS_STILL_OURS} returning unanswered`,
    { type: QueryTypes.SELECT, bind: { id, generation, claimedUntil } },
  );
  return row?.unanswered;
}
