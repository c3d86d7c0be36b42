import { QueryTypes } from 'sequelize';
import { advisoryLocks } from '../../shared/database/advisory-locks.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';

/** How many monthly partitions were prepared and dropped. */
export interface RotateAuditResult {
  readonly prepared: number;
  readonly dropped: number;
}

/** This month and the two after it. */
const MONTHS_AHEAD = 2;
const KEPT_MONTHS = 13;

/**
 * Creates the coming months' partitions of `audit_events` and drops those older than 13 months: dropping a partition is
 * cheap, however many events it holds. Events from before their month's partition existed are moved into it. Begins no
 * further month once the signal has aborted.
 */
export async function rotateAudit(
  database: Database,
  signal?: AbortSignal,
  now = new Date(),
): Promise<RotateAuditResult> {
  const wanted = Array.from({ length: MONTHS_AHEAD + 1 }, (_, ahead) => monthOf(now, ahead));
  const oldest = monthOf(now, 1 - KEPT_MONTHS);
  let prepared = 0;
  // A transaction for each month, so that events are blocked only briefly.
  for (const month of wanted) {
    if (signal?.aborted) return { prepared, dropped: 0 };
    prepared += await withRotationLock(database, (tx) => prepareMonth(database, tx, month));
  }
  if (signal?.aborted) return { prepared, dropped: 0 };
  const dropped = await withRotationLock(database, (tx) => dropMonthsBefore(database, tx, oldest));
  return { prepared, dropped };
}

/** One worker at a time: the others wait, and then find the work done. */
function withRotationLock(
  database: Database,
  work: (tx: Transaction) => Promise<number>,
): Promise<number> {
  return withTransaction(database, async (tx) => {
    await database.query(`select pg_advisory_xact_lock(${advisoryLocks.rotateAudit})`, {
      transaction: tx,
    });
    return work(tx);
  });
}

async function dropMonthsBefore(
  database: Database,
  tx: Transaction,
  { table: oldest, from }: Month,
): Promise<number> {
  const partitions = await partitionNames(database, tx);
  const outdated = partitions.filter((table) => MONTH_TABLE.test(table) && table < oldest);
  for (const table of outdated) await database.query(`drop table ${table}`, { transaction: tx });
  await database.query('delete from audit_events_default where at < $from', {
    bind: { from },
    transaction: tx,
  });
  return outdated.length;
}

/** Alphabetical order is chronological order. */
const MONTH_TABLE = /^audit_events_\d{4}_\d{2}$/;

interface Month {
  readonly table: string;
  readonly from: string;
  readonly to: string;
}

function monthOf(now: Date, ahead: number): Month {
  const first = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead));
  const next = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1));
  const from = first.toISOString();
  return {
    table: `audit_events_${from.slice(0, 7).replace('-', '_')}`,
    from,
    to: next.toISOString(),
  };
}

async function partitionNames(database: Database, tx: Transaction): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_events'::regclass`,
    { type: QueryTypes.SELECT, transaction: tx },
  );
  return rows.map(({ name }) => name);
}

/**
 * Names and times in the statements come from a date, not from input.
 *
 * The lock on `audit_events` makes other statements wait until the partition is attached. Without it they would wait at the
 * default partition: it would then reject inserts that belong to the new month, and queries that were planned before would
 * miss the events that have moved.
 */
async function prepareMonth(
  database: Database,
  tx: Transaction,
  { table, from, to }: Month,
): Promise<number> {
  if ((await partitionNames(database, tx)).includes(table)) return 0;
  for (const statement of [
    `create table ${table} (like audit_events including defaults)`,
    'lock table audit_events in access exclusive mode',
    `with moved as (delete from audit_events_default where at >= '${from}' and at < '${to}' returning *)
     insert into ${table} select * from moved`,
    `alter table audit_events attach partition ${table} for values from ('${from}') to ('${to}')`,
  ]) {
    await database.query(statement, { transaction: tx });
  }
  return 1;
}
