import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import type { Transaction } from '../../shared/database/transaction.js';
import type { OutboxJobSource } from '../../shared/outbox/outbox-job.js';

/**
 * Locks pending messages that are due, oldest first, leaving out those that another relay has locked. Messages younger
 * than the grace are left to the hand-over that the API tries right after its commit.
 */
export function lockPending(
  database: Database,
  tx: Transaction,
  { graceMs, limit }: { readonly graceMs: number; readonly limit: number },
): Promise<OutboxJobSource[]> {
  return database.query<OutboxJobSource>(
    `select id, name, generation
       from outbox
      where state = 'pending' and available_at <= now()
        and created_at < now() - $graceMs * interval '1 millisecond'
      order by available_at
      limit $limit
        for update skip locked`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { graceMs, limit } },
  );
}
