import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';

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
  readonly deliveryId: string;
  /** Until when, as the row has it: whoever claims it later changes that. */
  readonly claimedUntil: string;
}

/** What came of claiming a message. */
export type Claim =
  | { readonly kind: 'claimed'; readonly message: ClaimedMessage }
  /** Somebody else has it for so long, by the database's clock. */
  | { readonly kind: 'busy'; readonly remainingMs: number }
  /** Settled, dead, gone, or of another generation: nothing is to be done. */
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
            o.name, o.payload, o.admin_id as "adminId", o.recipient, o.trace_id as "traceId", o.attempts + 1 as attempt
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
