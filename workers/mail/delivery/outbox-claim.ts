import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import type { TraceParent } from '../../../shared/tracing/open-span.js';
import type { Statement } from '../../../shared/database/statements.js';
import { MAIL_FACTS, mailFactsOf, type MailFacts, type MailFactsRow } from '../mails/mail-facts.js';

/** Identifies the outbox message of a job. */
export interface MessageKey {
  readonly id: string;
  readonly generation: number;
}

/** A message that this worker has claimed, and the delivery that was opened for this attempt. */
export interface ClaimedMessage extends MessageKey, TraceParent {
  readonly name: string;
  readonly payload: unknown;
  readonly adminId: number | null;
  readonly recipient: string | null;
  /** How long ago the mail was asked for, when it was claimed. */
  readonly ageSeconds: number;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** How often the content was transmitted before without a known answer. */
  readonly unanswered: number;
  readonly facts: MailFacts;
  readonly deliveryId: string;
  /** When the claim expires, exactly as in the row: renewing it or claiming it anew changes the value. */
  claimedUntil: string;
}

/** The fields of a log line about a message. */
export const fieldsOf = ({ id, traceId }: Pick<ClaimedMessage, 'id' | 'traceId'>) => ({
  'labels.outbox_id': id,
  'trace.id': traceId,
});

/** The claim is still this worker's: no other has claimed the message since, and no operator has decided about it. */
export const IS_STILL_CLAIMED = `generation = $generation and state in ('pending', 'enqueued')
        and claimed_until = $claimedUntil::timestamptz`;

export type Claim = Pick<ClaimedMessage, 'traceId'> &
  (
    | { readonly kind: 'claimed'; readonly message: ClaimedMessage }
    /** Another worker's claim lasts for so long, by the database's clock; or nobody claims a row that a transaction has locked. */
    | { readonly kind: 'busy'; readonly remainingMs: number; readonly isLocked: boolean }
    /** Settled, dead or uncertain: there is nothing to do. */
    | { readonly kind: 'over' }
  );

interface ClaimRow
  extends
    Omit<ClaimedMessage, 'generation' | 'deliveryId' | 'claimedUntil' | 'facts'>,
    MailFactsRow {
  readonly isOpen: boolean;
  readonly remainingMs: number | null;
  readonly deliveryId: string | null;
  readonly claimedUntil: string | null;
}

/** A locked row was seen as it was before, perhaps while another worker claims it: the job retries soon. */
const LOST_RACE_MS = 1_000;

/**
 * Locks the messages by the primary key, and waits for none: a row that a transaction keeps locked would hold up all the
 * others. The lock is an update's own, so rows that refer to the message can be inserted meanwhile (PostgreSQL manual,
 * 13.3.2).
 */
const CLAIM: Statement = {
  name: 'mail_claim',
  text: `
    with due as (
      select * from unnest($1::uuid[], $2::int[]) as due (id, generation)
    ), free as (
      select o.id
        from due
        join outbox o on o.id = due.id and o.generation = due.generation and o.id = any($1::uuid[])
       where o.state in ('pending', 'enqueued') and (o.claimed_until is null or o.claimed_until <= now())
         for no key update of o skip locked
    ), claimed as (
      update outbox o
         set claimed_until = now() + $4::int * interval '1 millisecond', attempts = attempts + 1
        from free
       where o.id = free.id and o.id = any($1::uuid[])
      returning o.id, o.attempts, o.claimed_until
    ), delivery as (
      insert into deliveries (outbox_id, attempt, worker)
      select id, attempts, $3::text from claimed
      returning id, outbox_id
    )
    select o.id, o.state in ('pending', 'enqueued') as "isOpen",
           (extract(epoch from o.claimed_until - now()) * 1000)::float8 as "remainingMs",
           delivery.id::text as "deliveryId", claimed.claimed_until::text as "claimedUntil",
           o.name, o.payload, o.admin_id as "adminId", o.recipient, o.trace_id as "traceId", o.span_id as "spanId",
           o.is_sampled as "isSampled", o.attempts + 1 as attempt,
           o.unanswered, extract(epoch from now() - o.created_at)::float8 as "ageSeconds", facts.*
      from due
      join outbox o on o.id = due.id and o.generation = due.generation and o.id = any($1::uuid[])
      left join claimed on claimed.id = o.id
      left join delivery on delivery.outbox_id = o.id
      left join lateral (${MAIL_FACTS}) facts on claimed.id is not null`,
};

/**
 * Claims messages, opens a delivery for each attempt and reads what their mails are composed of, in one statement; resolves
 * to the claims by id. A message of another generation, or none, has no claim. A pending message can be claimed too: its job
 * may start before the message is marked as enqueued.
 */
export async function claimMessages(
  { statements }: Database,
  keys: readonly MessageKey[],
  { worker, claimMs }: { readonly worker: string; readonly claimMs: number },
): Promise<Map<string, Claim>> {
  const sorted = keys.toSorted(byId);
  const generations = new Map(sorted.map(({ id, generation }) => [id, generation]));
  const values = [[...generations.keys()], [...generations.values()], worker, claimMs];
  const rows = await statements.run<ClaimRow>(CLAIM, values);
  return new Map(rows.map((row) => [row.id, claimOf(row, generations.get(row.id) ?? 0)]));
}

/** All statements lock messages in this order, so that no two deadlock. */
export const byId = (one: { readonly id: string }, other: { readonly id: string }): number =>
  one.id < other.id ? -1 : 1;

function claimOf(row: ClaimRow, generation: number): Claim {
  const { traceId, deliveryId, claimedUntil } = row;
  if (!row.isOpen) return { kind: 'over', traceId };
  if (deliveryId === null || claimedUntil === null) {
    const remainingMs = row.remainingMs ?? 0;
    return {
      kind: 'busy',
      traceId,
      remainingMs: Math.max(remainingMs, LOST_RACE_MS),
      isLocked: remainingMs <= 0,
    };
  }
  const { id, name, payload, adminId, recipient, ageSeconds, attempt, unanswered } = row;
  const { spanId, isSampled } = row;
  return {
    kind: 'claimed',
    traceId,
    message: {
      ...{ id, generation, name, payload, adminId, recipient, ageSeconds, attempt, unanswered },
      ...{ traceId, spanId, isSampled, deliveryId, claimedUntil },
      facts: mailFactsOf(row),
    },
  };
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

const RECORD_TRANSMISSION: Statement = {
  name: 'mail_record_transmission',
  text: `
    update outbox o set unanswered = unanswered + 1, template = claimed.template
      from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::text[]) as claimed (id, generation, claimed_until, template)
     where o.id = claimed.id and o.generation = claimed.generation and o.claimed_until = claimed.claimed_until
       and o.id = any($1::uuid[]) and o.state in ('pending', 'enqueued')
    returning o.id, o.unanswered`,
};

/** The content of a claimed message, about to be transmitted. */
export interface Transmission {
  readonly message: ClaimedMessage;
  /** The kind of mail: from here on it counts against the limits of its address. */
  readonly template: string;
}

/**
 * Counts a transmission of each content, before it starts: if the worker dies from here on, the row says that the server may
 * have accepted it. Resolves to the counts by id; a message that is not claimed by this worker any more has none.
 */
export async function recordTransmissions(
  { statements }: Database,
  transmissions: readonly Transmission[],
): Promise<Map<string, number>> {
  const sorted = transmissions.toSorted((one, other) => byId(one.message, other.message));
  const rows = await statements.run<{ id: string; unanswered: number }>(RECORD_TRANSMISSION, [
    sorted.map(({ message }) => message.id),
    sorted.map(({ message }) => message.generation),
    sorted.map(({ message }) => message.claimedUntil),
    sorted.map(({ template }) => template),
  ]);
  return new Map(rows.map(({ id, unanswered }) => [id, unanswered]));
}
