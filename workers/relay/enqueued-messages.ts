import { QueryTypes } from 'sequelize';
import { advisoryLocks } from '../../shared/database/advisory-locks.js';
import type { Database } from '../../shared/database/connect.js';
import type { Transaction } from '../../shared/database/transaction.js';

/** A message whose job should be in Redis. */
export interface EnqueuedMessage {
  readonly id: string;
  readonly generation: number;
  readonly enqueueCount: number;
  readonly traceId: string;
  /** When it was last looked after, to the microsecond. */
  readonly seenAt: string;
}

/** Where a sweep goes on: behind the message that it has seen last. */
export type Position = Pick<EnqueuedMessage, 'id' | 'seenAt'>;

/**
 * Takes the one sweeper's place until the transaction ends.
 * @returns false when somebody else has it and we would not wait.
 */
export async function takeSweepersPlace(
  database: Database,
  tx: Transaction,
  wait: boolean,
): Promise<boolean> {
  if (wait) {
    await database.query(`select pg_advisory_xact_lock(${advisoryLocks.sweep})`, {
      type: QueryTypes.SELECT,
      transaction: tx,
    });
    return true;
  }
  const [row] = await database.query<{ taken: boolean }>(
    `select pg_try_advisory_xact_lock(${advisoryLocks.sweep}) as taken`,
    { type: QueryTypes.SELECT, transaction: tx },
  );
  return row?.taken ?? false;
}

/** The moment before which a message must have been looked after last, by the database's clock, to be due now. */
export async function dueBefore(
  database: Database,
  tx: Transaction,
  minAgeMs: number,
): Promise<string> {
  const [row] = await database.query<{ cutoff: string }>(
    `select (now() - $minAgeMs * interval '1 millisecond')::text as cutoff`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { minAgeMs } },
  );
  if (!row) throw new Error('the database does not know what time it is');
  return row.cutoff;
}

const START: Position = { seenAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' };

/**
 * Enqueued messages that nobody has looked after since the cutoff, the longest neglected first. Those before the position
 * have had their turn: one that could not be changed then shall not come again and again.
 */
export function neglectedMessages(
  database: Database,
  tx: Transaction,
  {
    cutoff,
    after,
    limit,
  }: { readonly cutoff: string; readonly after: Position | undefined; readonly limit: number },
): Promise<EnqueuedMessage[]> {
  return database.query<EnqueuedMessage>(
    `select id, generation, enqueue_count as "enqueueCount", trace_id as "traceId",
            coalesce(checked_at, enqueued_at)::text as "seenAt"
       from outbox
      where state = 'enqueued' and coalesce(checked_at, enqueued_at) <= $cutoff::timestamptz
        and (coalesce(checked_at, enqueued_at), id) > ($seenAt::timestamptz, $id::uuid)
      order by coalesce(checked_at, enqueued_at), id
      limit $limit`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { cutoff, limit, ...(after ?? START) } },
  );
}

/** What becomes of messages whose jobs have been looked at. */
export type Change =
  /** The job is where it should be. */
  | 'check'
  /** Back to the relay, which makes the same job again. */
  | 'return'
  /** Back to the relay, which makes a new job: Redis would refuse one under the old id. */
  | 'renew';

const assignments: Record<Change, string> = {
  // A transaction's own time would be the very moment before which the same sweep looks.
  check: 'checked_at = clock_timestamp()',
  // What was promised long ago is due from now on: nobody has failed to relay it.
  return: `state = 'pending', available_at = now()`,
  renew: `state = 'pending', available_at = now(), generation = o.generation + 1`,
};

/** Those of the messages that are still enqueued as they were, locked; without those that somebody else has locked. */
const UNCHANGED = `
  select o.id from outbox o
    join unnest($ids::uuid[], $generations::int[]) as seen (id, generation)
      on o.id = seen.id and o.generation = seen.generation
   where o.state = 'enqueued'
     for update of o skip locked`;

/**
 * Changes those of the messages that are still enqueued as they were; resolves to their ids. One that somebody else has
 * locked is left for a later sweep, and holds up none of the others.
 */
export async function changeEnqueued(
  database: Database,
  tx: Transaction,
  change: Change,
  messages: readonly EnqueuedMessage[],
): Promise<string[]> {
  if (messages.length === 0) return [];
  const rows = await database.query<{ id: string }>(
    `with unchanged as (${UNCHANGED})
     update outbox o set ${assignments[change]}
       from unchanged where o.id = unchanged.id
     returning o.id`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: {
        ids: messages.map(({ id }) => id),
        generations: messages.map(({ generation }) => generation),
      },
    },
  );
  return rows.map(({ id }) => id);
}

/**
 * Gives a message up; an operator decides what becomes of it. Resolves to false when it is not enqueued any more, or
 * somebody else has locked it.
 */
export async function buryEnqueued(
  database: Database,
  tx: Transaction,
  { id, generation }: EnqueuedMessage,
  reason: string,
): Promise<boolean> {
  const rows = await database.query(
    `with unchanged as (${UNCHANGED})
     update outbox o set state = 'dead', claimed_until = null, last_error = $reason
       from unchanged where o.id = unchanged.id
     returning o.id`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: { ids: [id], generations: [generation], reason },
    },
  );
  return rows.length > 0;
}
