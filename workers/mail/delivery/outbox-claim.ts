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
  /** Settled, dead or uncertain: there is nothing to do. */
  | { readonly kind: 'over' };

interface ClaimRow extends Omit<ClaimedMessage, 'generation' | 'deliveryId' | 'claimedUntil'> {
  readonly isOpen: boolean;
  readonly remainingMs: number | null;
  readonly deliveryId: string | null;
  readonly claimedUntil: string | null;
}

/** The loser of two concurrent claims saw the row as it was before: it retries soon. */
const LOST_RACE_MS = 1_000;

/**
 * Claims messages and opens a delivery for each attempt, in one statement; resolves to the claims by id. A message of another
 * generation, or none, has no claim. A pending message can be claimed too: its job may start before the message is marked as
 * enqueued. All statements lock messages in the order of their ids, so that no two deadlock.
 */
export async function claimMessages(
  database: Database,
  keys: readonly MessageKey[],
  { worker, claimMs }: { readonly worker: string; readonly claimMs: number },
): Promise<Map<string, Claim>> {
  const rows = await database.query<ClaimRow>(
    `with due as (
       select * from unnest($1::uuid[], $2::int[]) as due (id, generation)
     ), free as (
       select o.id from outbox o join due on o.id = due.id and o.generation = due.generation
        where o.state in ('pending', 'enqueued') and (o.claimed_until is null or o.claimed_until <= now())
        order by o.id for update of o
     ), claimed as (
       update outbox o
          set claimed_until = now() + $4 * interval '1 millisecond', attempts = attempts + 1
         from free where o.id = free.id
       returning o.id, o.attempts, o.claimed_until
     ), delivery as (
       insert into deliveries (outbox_id, attempt, worker)
       select id, attempts, $3 from claimed
       returning id, outbox_id
     )
     select o.id, o.state in ('pending', 'enqueued') as "isOpen",
            (extract(epoch from o.claimed_until - now()) * 1000)::float8 as "remainingMs",
            delivery.id::text as "deliveryId", claimed.claimed_until::text as "claimedUntil",
            o.name, o.payload, o.admin_id as "adminId", o.recipient, o.trace_id as "traceId", o.attempts + 1 as attempt,
            o.unanswered
       from due
       join outbox o on o.id = due.id and o.generation = due.generation
       left join claimed on claimed.id = o.id
       left join delivery on delivery.outbox_id = o.id`,
    {
      type: QueryTypes.SELECT,
      bind: [keys.map(({ id }) => id), keys.map(({ generation }) => generation), worker, claimMs],
    },
  );
  const generations = new Map(keys.map(({ id, generation }) => [id, generation]));
  return new Map(rows.map((row) => [row.id, claimOf(row, generations.get(row.id) ?? 0)]));
}

function claimOf(row: ClaimRow, generation: number): Claim {
  const { isOpen, remainingMs, deliveryId, claimedUntil, ...message } = row;
  if (!isOpen) return { kind: 'over' };
  if (deliveryId === null || claimedUntil === null)
    return { kind: 'busy', remainingMs: Math.max(remainingMs ?? 0, LOST_RACE_MS) };
  return { kind: 'claimed', message: { ...message, generation, deliveryId, claimedUntil } };
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
 * Counts a transmission of each content, before it starts: if the worker dies from here on, the row says that the server may
 * have accepted it. Resolves to the counts by id; a message that is not claimed by this worker any more has none.
 */
export async function recordTransmissions(
  database: Database,
  messages: readonly ClaimedMessage[],
): Promise<Map<string, number>> {
  const rows = await database.query<{ id: string; unanswered: number }>(
    `with claimed as (
       select o.id
         from outbox o
         join unnest($1::uuid[], $2::int[], $3::timestamptz[]) as claimed (id, generation, claimed_until)
           on o.id = claimed.id and o.generation = claimed.generation and o.claimed_until = claimed.claimed_until
        where o.state in ('pending', 'enqueued')
        order by o.id for update of o
     )
     update outbox o set unanswered = unanswered + 1
       from claimed where o.id = claimed.id
     returning o.id, o.unanswered`,
    {
      type: QueryTypes.SELECT,
      bind: [
        messages.map(({ id }) => id),
        messages.map(({ generation }) => generation),
        messages.map(({ claimedUntil }) => claimedUntil),
      ],
    },
  );
  return new Map(rows.map(({ id, unanswered }) => [id, unanswered]));
}
