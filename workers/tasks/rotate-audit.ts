import { QueryTypes } from 'sequelize';
import { advisoryLocks } from '../../shared/database/advisory-locks.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';

/** How many monthly partitions were prepared and dropped. */
export interface RotateAuditResult {
  readonly prepared: number;
  readonly dropped: number;
}

/**
 * The two months after this one, then this one: it alone has events to move, and where they are too many for the time-out of a
 * statement, it fails until the month is over.
 */
const MONTHS_AHEAD = [2, 1, 0];

/**
 * Creates the coming months' partitions of `audit_events` and drops those older than 13 months: dropping a partition is
 * cheap, however many events it holds. Events from before their month's partition existed are moved into it. Begins no
 * further month once the signal has aborted. Functions in the database do it with the rights of the owner of the tables.
 */
export async function rotateAudit(
  database: Database,
  signal?: AbortSignal,
): Promise<RotateAuditResult> {
  let prepared = 0;
  // A transaction for each month, so that events are blocked only briefly.
  for (const ahead of MONTHS_AHEAD) {
    if (signal?.aborted) return { prepared, dropped: 0 };
    prepared += await rotate(database, 'prepare_audit_month($ahead::int)::int', { ahead });
  }
  if (signal?.aborted) return { prepared, dropped: 0 };
  return { prepared, dropped: await rotate(database, 'drop_old_audit_months()') };
}

/** One worker at a time: the others wait, and then find the work done. */
function rotate(
  database: Database,
  call: string,
  bind: Readonly<Record<string, number>> = {},
): Promise<number> {
  return withTransaction(database, async (tx) => {
    await database.query(`select pg_advisory_xact_lock(${advisoryLocks.rotateAudit})`, {
      transaction: tx,
    });
    const [row] = await database.query<{ count: number }>(`select ${call} as count`, {
      type: QueryTypes.SELECT,
      bind,
      transaction: tx,
    });
    return row?.count ?? 0;
  });
}
