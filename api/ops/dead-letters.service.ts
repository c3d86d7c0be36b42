import { setTimeout as delay } from 'node:timers/promises';
import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';

export interface DeadLetterDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** A message whose delivery failed permanently, or is uncertain. */
export interface DeadLetter {
  readonly id: string;
  /** The name of its job. */
  readonly mail: string;
  readonly recipient: string | null;
  readonly asked_at: Date;
  readonly attempts: number;
  /** Why it failed; of an uncertain message, its last error. */
  readonly error: string | null;
  readonly trace_id: string;
}

/** The oldest messages first; `total` includes those past the limit. */
export interface DeadLetterList {
  readonly total: number;
  readonly letters: readonly DeadLetter[];
}

/** The messages that wait for an operator's decision. */
export interface DeadLetters extends DeadLetterList {
  /** Possibly sent: the content was transmitted three times, and the server's reply never came. */
  readonly uncertain: DeadLetterList;
}

const MAX_LISTED = 200;
/** Keeps each transaction of {@link redriveAllMails} short. */
const BATCH_SIZE = 100;
const BATCH_PAUSE_MS = 20;

/** The oldest 200 messages of each kind, and how many there are. */
export async function listDeadLetters({
  database,
}: Pick<DeadLetterDeps, 'database'>): Promise<DeadLetters> {
  const dead = await listByState(database, 'dead');
  return { ...dead, uncertain: await listByState(database, 'uncertain') };
}

async function listByState(
  database: Database,
  state: 'dead' | 'uncertain',
): Promise<DeadLetterList> {
  const letters = await database.query<DeadLetter & { total: number }>(
    `select id, name as mail, recipient, created_at as asked_at, attempts, last_error as error, trace_id,
            (count(*) over ())::int as total
       from outbox where state = '${state}' order by created_at, id limit $limit`,
    { type: QueryTypes.SELECT, bind: { limit: MAX_LISTED } },
  );
  return {
    total: letters[0]?.total ?? 0,
    letters: letters.map(({ total: _total, ...letter }) => letter),
  };
}

/**
 * Redrives a message: its mail is tried again under a new generation, since Redis would reject a job with the old id. Its
 * deliveries and the audit keep the failure. An uncertain mail may arrive twice.
 * @throws {AppError} `not_found` unless the message is dead or uncertain.
 */
export async function redriveMail(deps: DeadLetterDeps, id: string, cause: Cause): Promise<void> {
  const count = await withTransaction(deps.database, (tx) =>
    reopen(deps, tx, [id], { firstAfterMs: 0, ratePerSecond: 1 }, cause),
  );
  if (count === 0) throw await notDead(deps.database, id);
}

/**
 * Redrives every dead message, the oldest first, at a rate. Uncertain messages are not touched: each needs a decision of
 * its own.
 * @returns how many.
 */
export async function redriveAllMails(
  deps: DeadLetterDeps,
  ratePerSecond: number,
  cause: Cause,
): Promise<number> {
  const rows = await deps.database.query<{ id: string }>(
    `select id from outbox where state = 'dead' order by created_at, id`,
    { type: QueryTypes.SELECT },
  );
  let count = 0;
  for (let start = 0; start < rows.length; start += BATCH_SIZE) {
    if (start > 0) await delay(BATCH_PAUSE_MS);
    const ids = rows.slice(start, start + BATCH_SIZE).map(({ id }) => id);
    const pace = { firstAfterMs: (count / ratePerSecond) * 1_000, ratePerSecond };
    count += await withTransaction(deps.database, (tx) => reopen(deps, tx, ids, pace, cause));
  }
  return count;
}

/**
 * Settles a message as discarded: its mail is never sent again.
 * @throws {AppError} `not_found` unless the message is dead or uncertain.
 */
export async function discardMail(deps: DeadLetterDeps, id: string, cause: Cause): Promise<void> {
  const { database, audit } = deps;
  const isDone = await withTransaction(database, async (tx) => {
    const [row] = await database.query<DecidedRow>(
      `update outbox set state = 'settled', outcome = 'discarded', settled_at = now()
        where id = $id and state in ('dead', 'uncertain') returning id, admin_id, last_error`,
      { type: QueryTypes.SELECT, transaction: tx, bind: { id } },
    );
    if (row) await recordDecision(audit, tx, 'mail_discarded', row, cause);
    return row !== undefined;
  });
  if (!isDone) throw await notDead(database, id);
}

/** Makes dead or uncertain messages pending again, due one after the other at a pace; resolves to how many there were. */
async function reopen(
  { database, audit }: DeadLetterDeps,
  tx: Transaction,
  ids: readonly string[],
  { firstAfterMs, ratePerSecond }: { firstAfterMs: number; ratePerSecond: number },
  cause: Cause,
): Promise<number> {
  const rows = await database.query<DecidedRow>(
    `update outbox o
        set state = 'pending', generation = o.generation + 1, enqueue_count = 0, unanswered = 0,
            available_at = now() + ($firstAfterMs + 1000.0 * (wanted.place - 1) / $rate) * interval '1 millisecond'
       from unnest($ids::uuid[]) with ordinality as wanted (id, place)
      where o.id = wanted.id and o.state in ('dead', 'uncertain')
     returning o.id, o.admin_id, o.last_error`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: { ids, firstAfterMs, rate: ratePerSecond },
    },
  );
  for (const row of rows) await recordDecision(audit, tx, 'mail_redriven', row, cause);
  return rows.length;
}

interface DecidedRow {
  readonly id: string;
  readonly admin_id: number | null;
  readonly last_error: string | null;
}

function recordDecision(
  audit: Audit,
  tx: Transaction,
  event: 'mail_redriven' | 'mail_discarded',
  { id, admin_id: adminId, last_error: error }: DecidedRow,
  cause: Cause,
): Promise<void> {
  const details = { outbox_id: id, ...(error !== null && { error }) };
  return audit.record(event, cause, { adminId: adminId ?? undefined, details }, tx);
}

/** The error for a message that is not waiting for a decision. */
async function notDead(database: Database, id: string): Promise<AppError> {
  const [row] = await database.query<{ state: string }>('select state from outbox where id = $id', {
    type: QueryTypes.SELECT,
    bind: { id },
  });
  const detail = row ? `the message is not dead but ${row.state}` : 'there is no such message';
  return new AppError('not_found', { detail });
}
