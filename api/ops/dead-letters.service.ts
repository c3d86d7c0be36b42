import { setTimeout as delay } from 'node:timers/promises';
import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';

export interface DeadLettersDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** A message that was given up, or perhaps sent. */
export interface DeadLetter {
  readonly id: string;
  /** The job that it promised: which mail it is. */
  readonly mail: string;
  readonly recipient: string | null;
  readonly asked_at: Date;
  readonly attempts: number;
  /** Why it was given up; what was heard last of one that is perhaps sent. */
  readonly error: string | null;
  readonly trace_id: string;
}

/** Messages, the oldest first; `total` counts those that are not listed too. */
export interface LetterList {
  readonly total: number;
  readonly letters: readonly DeadLetter[];
}

/** The messages that wait for an operator's decision. */
export interface DeadLetters extends LetterList {
  /** Perhaps sent: their content was handed over three times, and the server's answer never came. */
  readonly uncertain: LetterList;
}

/** The states in which a message waits for a decision. */
type UndecidedState = 'dead' | 'uncertain';

const MAX_LISTED = 200;
/** Small enough for a transaction that others need not wait for. */
const BATCH_SIZE = 100;
const BATCH_PAUSE_MS = 20;

/** The messages that were given up or are perhaps sent, and what operators decide about them. */
export function createDeadLettersService(deps: DeadLettersDeps) {
  const { database, audit } = deps;

  /** The oldest 200 of each kind, and how many there are. */
  async function list(): Promise<DeadLetters> {
    return { ...(await listThose('dead')), uncertain: await listThose('uncertain') };
  }

  async function listThose(state: UndecidedState): Promise<LetterList> {
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
   * Has a message's mail tried again, under a new generation: Redis would refuse a job under the old id. How it failed
   * stays in its deliveries and in the audit. One that is perhaps sent may arrive once more.
   * @throws {AppError} `not_found` unless the message is dead or uncertain.
   */
  async function redrive(id: string, cause: Cause): Promise<void> {
    const done = await withTransaction(database, (tx) =>
      revive(deps, tx, [id], { firstAfterMs: 0, ratePerSecond: 1 }, cause),
    );
    if (done === 0) throw await notDead(database, id);
  }

  /**
   * The same for every message that is dead now; so many a second become due, the oldest first. Those that are perhaps
   * sent are left alone: each is a decision of its own.
   * @returns how many.
   */
  async function redriveAll(ratePerSecond: number, cause: Cause): Promise<number> {
    const rows = await database.query<{ id: string }>(
      `select id from outbox where state = 'dead' order by created_at, id`,
      { type: QueryTypes.SELECT },
    );
    let done = 0;
    for (let start = 0; start < rows.length; start += BATCH_SIZE) {
      if (start > 0) await delay(BATCH_PAUSE_MS);
      const ids = rows.slice(start, start + BATCH_SIZE).map(({ id }) => id);
      const pace = { firstAfterMs: (done / ratePerSecond) * 1_000, ratePerSecond };
      done += await withTransaction(database, (tx) => revive(deps, tx, ids, pace, cause));
    }
    return done;
  }

  /**
   * Settles a message as discarded: its mail is never sent again.
   * @throws {AppError} `not_found` unless the message is dead or uncertain.
   */
  async function discard(id: string, cause: Cause): Promise<void> {
    const isDone = await withTransaction(database, async (tx) => {
      const [row] = await database.query<Revived>(
        `update outbox set state = 'settled', outcome = 'discarded', settled_at = now()
          where id = $id and state in ('dead', 'uncertain') returning id, admin_id, last_error`,
        { type: QueryTypes.SELECT, transaction: tx, bind: { id } },
      );
      if (row) await record(audit, tx, 'mail_discarded', row, cause);
      return row !== undefined;
    });
    if (!isDone) throw await notDead(database, id);
  }

  return { list, redrive, redriveAll, discard };
}

/** Puts messages back that are dead or uncertain, one after the other at a pace; resolves to how many were. */
async function revive(
  { database, audit }: DeadLettersDeps,
  tx: Transaction,
  ids: readonly string[],
  { firstAfterMs, ratePerSecond }: { firstAfterMs: number; ratePerSecond: number },
  cause: Cause,
): Promise<number> {
  const rows = await database.query<Revived>(
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
  for (const row of rows) await record(audit, tx, 'mail_redriven', row, cause);
  return rows.length;
}

interface Revived {
  readonly id: string;
  readonly admin_id: number | null;
  readonly last_error: string | null;
}

function record(
  audit: Audit,
  tx: Transaction,
  event: 'mail_redriven' | 'mail_discarded',
  { id, admin_id: adminId, last_error: error }: Revived,
  cause: Cause,
): Promise<void> {
  const details = { outbox_id: id, ...(error !== null && { error }) };
  return audit.record(event, cause, { adminId: adminId ?? undefined, details }, tx);
}

/** Why a message cannot be decided about. */
async function notDead(database: Database, id: string): Promise<AppError> {
  const [row] = await database.query<{ state: string }>('select state from outbox where id = $id', {
    type: QueryTypes.SELECT,
    bind: { id },
  });
  const detail = row ? `the message is not dead but ${row.state}` : 'there is no such message';
  return new AppError('not_found', { detail });
}
