import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import type { Transaction } from '../../shared/database/transaction.js';

/** A message whose job should be in Redis. */
export interface EnqueuedMessage {
  readonly id: string;
  readonly generation: number;
  readonly enqueueCount: number;
  readonly traceId: string;
}

/** Takes the one sweeper's place until the transaction ends, or resolves to false when somebody else has it. */
export async function takeSweepersPlace(database: Database, tx: Transaction): Promise<boolean> {
  const [row] = await database.query<{ taken: boolean }>(
    `select pg_try_advisory_xact_lock(hashtext('rollcall/sweep')) as taken`,
    { type: QueryTypes.SELECT, transaction: tx },
  );
  return row?.taken ?? false;
}

/** The moment before which a message must have been looked after last, by the database's clock, to be due now. */
export async function dueBefore(database: Database, minAgeMs: number): Promise<string> {
  const [row] = await database.query<{ cutoff: string }>(
    `select (now() - $minAgeMs * interval '1 millisecond')::text as cutoff`,
    { type: QueryTypes.SELECT, bind: { minAgeMs } },
  );
  if (!row) throw new Error('the database does not know what time it is');
  return row.cutoff;
}

/** Enqueued messages that nobody has looked after since the cutoff, the longest neglected first. */
export function neglectedMessages(
  database: Database,
  tx: Transaction,
  { cutoff, limit }: { readonly cutoff: string; readonly limit: number },
): Promise<EnqueuedMessage[]> {
  return database.query<EnqueuedMessage>(
    `select id, generation, enqueue_count as "enqueueCount", trace_id as "traceId"
       from outbox
      where state = 'enqueued' and coalesce(checked_at, enqueued_at) <= $cutoff::timestamptz
      order by coalesce(checked_at, enqueued_at), id
      limit $limit`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { cutoff, limit } },
  );
}

type Key = Pick<EnqueuedMessage, 'id' | 'generation'>;

/** Records that the message's job is where it should be. */
export async function markChecked(database: Database, { id, generation }: Key): Promise<void> {
  await database.query(
    `update outbox set checked_at = now() where id = $id and generation = $generation and state = 'enqueued'`,
    { type: QueryTypes.UPDATE, bind: { id, generation } },
  );
}

/** Back to the relay, which makes the same job again. */
export async function returnToPending(database: Database, { id, generation }: Key): Promise<void> {
  await database.query(
    `update outbox set state = 'pending' where id = $id and generation = $generation and state = 'enqueued'`,
    { type: QueryTypes.UPDATE, bind: { id, generation } },
  );
}

/** Back to the relay, which makes a new job: Redis would refuse one under the old id. */
export async function returnAsNextGeneration(
  database: Database,
  { id, generation }: Key,
): Promise<void> {
  await database.query(
    `update outbox set state = 'pending', generation = generation + 1
      where id = $id and generation = $generation and state = 'enqueued'`,
    { type: QueryTypes.UPDATE, bind: { id, generation } },
  );
}

/** Gives the message up; an operator decides what becomes of it. */
export async function buryEnqueued(
  database: Database,
  { id, generation }: Key,
  reason: string,
): Promise<void> {
  await database.query(
    `update outbox set state = 'dead', claimed_until = null, last_error = $reason
      where id = $id and generation = $generation and state = 'enqueued'`,
    { type: QueryTypes.UPDATE, bind: { id, generation, reason } },
  );
}
