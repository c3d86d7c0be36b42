import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import type { Transaction } from '../database/transaction.js';
import type { OutboxJobSource } from './outbox-job.js';

/** Records that the jobs of these messages are in Redis, except of those that somebody has moved on meanwhile. */
export async function markEnqueued(
  database: Database,
  messages: readonly Pick<OutboxJobSource, 'id' | 'generation'>[],
  tx?: Transaction,
): Promise<void> {
  await database.query(
    `update outbox o
        set state = 'enqueued', enqueued_at = now(), enqueue_count = enqueue_count + 1, checked_at = null
       from unnest($ids::uuid[], $generations::int[]) as added (id, generation)
      where o.id = added.id and o.generation = added.generation and o.state = 'pending'`,
    {
      type: QueryTypes.UPDATE,
      transaction: tx ?? null,
      bind: {
        ids: messages.map(({ id }) => id),
        generations: messages.map(({ generation }) => generation),
      },
    },
  );
}
