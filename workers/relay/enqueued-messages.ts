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
  /** When its job was last checked, with microseconds. */
  readonly checkedAt: string;
}

/** The last message that a sweep has seen: it continues after it. */
export type Position = Pick<EnqueuedMessage, 'id' | 'checkedAt'>;

/**
 * Takes the lock that lets one sweep run at a time, until the transaction ends.
 * @param waits whether to wait for another sweep.
 * @returns false when another sweep has the lock.
 */
export async function lockSweep(
  database: Database,
  tx: Transaction,
  waits: boolean,
): Promise<boolean> {
  if (waits) {
    await database.query(`select pg_advisory_xact_lock(${advisoryLocks.sweep})`, {
      type: QueryTypes.SELECT,
      transaction: tx,
    });
    return true;
  }
  const [row] = await database.query<{ isLocked: boolean }>(
    `select pg_try_advisory_xact_lock(${advisoryLocks.sweep}) as "isLocked"`,
    { type: QueryTypes.SELECT, transaction: tx },
  );
  return row?.isLocked ?? false;
}

/** The database's time `minAgeMs` ago: messages that were not checked since then are stale. */
export async function staleBefore(
  database: Database,
  tx: Transaction,
  minAgeMs: number,
): Promise<string> {
  const [row] = await database.query<{ cutoff: string }>(
    `select (now() - $minAgeMs * interval '1 millisecond')::text as cutoff`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { minAgeMs } },
  );
  if (!row) throw new Error('the database did not return the time');
  return row.cutoff;
}

const START: Position = { checkedAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' };

/**
 * Enqueued messages whose jobs were not checked since the cutoff, the stalest first. Those up to the position are left out:
 * one that could not be changed must not come again within the same sweep.
 */
export function staleMessages(
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
            coalesce(checked_at, enqueued_at)::text as "checkedAt"
       from outbox
      where state = 'enqueued' and coalesce(checked_at, enqueued_at) <= $cutoff::timestamptz
        and (coalesce(checked_at, enqueued_at), id) > ($checkedAt::timestamptz, $id::uuid)
      order by coalesce(checked_at, enqueued_at), id
      limit $limit`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { cutoff, limit, ...(after ?? START) } },
  );
}

/** A change of messages whose jobs have been checked. */
export type Change =
  /** The job is where it should be. */
  | 'check'
  /** Pending again: the relay adds the same job. */
  | 'return'
  /** Pending again under a new generation, for a new job: Redis would refuse one under the old id. */
  | 'renew';

const assignments: Record<Change, string> = {
  // Not now(): the transaction's start may be the very cutoff of this sweep.
  check: 'checked_at = clock_timestamp()',
  // Available from now on, so that its age does not count as the relay's delay.
  return: `state = 'pending', available_at = now()`,
  renew: `state = 'pending', available_at = now(), generation = o.generation + 1`,
};

/** Locks those of the messages that are still enqueued under the same generation, and skips rows locked by others. */
const UNCHANGED = `
  select o.id from outbox o
    join unnest($ids::uuid[], $generations::int[]) as seen (id, generation)
      on o.id = seen.id and o.generation = seen.generation
   where o.state = 'enqueued'
     for update of o skip locked`;

/**
 * Changes those of the messages that are still enqueued under the same generation; resolves to their ids. A row that another
 * transaction has locked is left to a later sweep and does not block the others.
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
 * Dead-letters a message: an operator decides about it. Resolves to false when it is not enqueued any more, or another
 * transaction has locked it.
 */
export async function deadLetter(
  database: Database,
  tx: Transaction,
  { id, generation }: EnqueuedMessage,
  reason: string,
): Promise<boolean> {
  const rows = await database.query(
    `with unchanged as (${UNCHANGED})
     update outbox o set state = 'dead', given_up_at = now(), claimed_until = null, last_error = $reason
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
