import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../../shared/audit/audit.js';
import type { Database } from '../../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../../shared/database/transaction.js';
import { AppError } from '../../../shared/errors/app-error.js';
import { conditionOf, type DeadLetterFilter } from './dead-letter-filter.service.js';
import { pageOf, placeOf, TimeAndId, type Page, type PageRequest } from '../keyset.js';

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
  /** How often operators have redriven it. */
  readonly redrives: number;
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

/** Messages that failed for the same cause. */
export interface DeadLetterGroup {
  readonly state: DeadLetterFilter['state'];
  /** The SMTP code of the reply (`550 5.1.1`), or the error without what differs from mail to mail. */
  readonly cause: string;
  readonly count: number;
  readonly oldest: Date;
  readonly newest: Date;
  /** How many of them had been redriven before, and came back. */
  readonly came_back: number;
  /** The error of one of them. */
  readonly example: string | null;
}

const MAX_LISTED = 200;
const MAX_GROUPS = 100;
/** Of more causes than these, some are not looked at. */
const MAX_CAUSES = 1_000;

type Reads = Pick<DeadLetterDeps, 'database'>;

/** The oldest 200 messages of each kind, and how many there are. */
export async function readDeadLetters(deps: Reads): Promise<DeadLetters> {
  const dead = await listByState(deps, 'dead');
  return { ...dead, uncertain: await listByState(deps, 'uncertain') };
}

async function listByState(deps: Reads, state: DeadLetterFilter['state']): Promise<DeadLetterList> {
  const total = await countDeadLetters(deps, { state });
  const { rows } = await listDeadLetters(deps, { state }, { limit: MAX_LISTED });
  return { total, letters: rows };
}

/** The messages that fit a filter, the oldest first. @throws {AppError} `invalid_cursor`. */
export async function listDeadLetters(
  { database }: Reads,
  filter: DeadLetterFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<DeadLetter>> {
  const { sql, bind } = conditionOf(filter);
  const [at, id] = placeOf(TimeAndId, cursor) ?? [];
  const found = await database.query<DeadLetter & { key: string }>(
    `select id, name as mail, recipient, created_at as asked_at, attempts, last_error as error, trace_id, redrives,
            created_at::text as key
       from outbox where ${sql} ${at === undefined ? '' : 'and (created_at, id) > ($at::timestamptz, $id::uuid)'}
      order by created_at, id limit $limit`,
    {
      type: QueryTypes.SELECT,
      bind: { ...bind, limit: limit + 1, ...(at !== undefined && { at, id }) },
    },
  );
  const page = pageOf(found, limit, (row) => [row.key, row.id]);
  return { ...page, rows: page.rows.map(({ key: _key, ...letter }) => letter) };
}

/** How many messages fit a filter. */
export async function countDeadLetters(
  { database }: Reads,
  filter: DeadLetterFilter,
): Promise<number> {
  const { sql, bind } = conditionOf(filter);
  const [row] = await database.query<{ count: number }>(
    `select count(*)::int as count from outbox where ${sql}`,
    { type: QueryTypes.SELECT, bind },
  );
  return row?.count ?? 0;
}

/**
 * Steps from one cause to the next by the index, and counts each by its part of the index: the causes of a hundred thousand
 * messages need not be computed again.
 */
const GROUPS = `
  with recursive firsts as (
    (select state, mail_failure_cause(last_error) as cause, left(last_error, 200) as example, 1 as number
       from outbox where state in ('dead', 'uncertain')
      order by state, mail_failure_cause(last_error) limit 1)
    union all
    select next.*, firsts.number + 1
      from firsts, lateral (
        select o.state, mail_failure_cause(o.last_error) as cause, left(o.last_error, 200) as example
          from outbox o
         where o.state in ('dead', 'uncertain')
           and (o.state, mail_failure_cause(o.last_error)) > (firsts.state, firsts.cause)
         order by o.state, mail_failure_cause(o.last_error) limit 1
      ) next
     where firsts.number < $maxCauses
  )
  select firsts.state, firsts.cause, counted.*, firsts.example
    from firsts, lateral (
      select count(*)::int as count, min(created_at) as oldest, max(created_at) as newest,
             (count(*) filter (where redrives > 0))::int as came_back
        from outbox o
       where o.state in ('dead', 'uncertain') and o.state = firsts.state
         and mail_failure_cause(o.last_error) = firsts.cause
    ) counted
   order by counted.count desc, firsts.state, firsts.cause limit $limit`;

/** The messages that wait for a decision by their cause: at most 100 groups, the largest first. */
export function groupDeadLetters({ database }: Reads): Promise<DeadLetterGroup[]> {
  return database.query<DeadLetterGroup>(GROUPS, {
    type: QueryTypes.SELECT,
    bind: { limit: MAX_GROUPS, maxCauses: MAX_CAUSES },
  });
}

/**
 * Redrives a message: its mail is tried again under a new generation, since Redis would reject a job with the old id. Its
 * deliveries and the audit keep the failure. An uncertain mail may arrive twice.
 * @throws {AppError} `not_found` unless the message is dead or uncertain: of two operators, one redrives it.
 */
export const redriveMail = (deps: DeadLetterDeps, id: string, cause: Cause): Promise<void> =>
  decideOne(deps, 'redrive', id, cause);

/**
 * Settles a message as discarded: its mail is never sent again.
 * @throws {AppError} `not_found` unless the message is dead or uncertain.
 */
export const discardMail = (deps: DeadLetterDeps, id: string, cause: Cause): Promise<void> =>
  decideOne(deps, 'discard', id, cause);

async function decideOne(
  deps: DeadLetterDeps,
  action: DeadLetterAction,
  id: string,
  cause: Cause,
): Promise<void> {
  const count = await withTransaction(deps.database, (tx) =>
    decide(deps, tx, { action, ids: [id], ratePerSecond: 1 }, cause),
  );
  if (count === 0) throw await notDead(deps.database, id);
}

/** What an operator may do with a message that waits for a decision. */
export type DeadLetterAction = 'redrive' | 'discard';

/** One action on some messages. */
export interface Decision {
  readonly action: DeadLetterAction;
  readonly ids: readonly string[];
  /** Redriven mails are due one after the other at this pace. */
  readonly ratePerSecond: number;
  /** The bulk action that this is a part of. */
  readonly bulkAction?: string;
}

interface DecidedRow {
  readonly id: string;
  readonly admin_id: number | null;
  readonly last_error: string | null;
}

const decisions = {
  redrive: {
    event: 'mail_redriven',
    changes: `state = 'pending', generation = o.generation + 1, enqueue_count = 0, unanswered = 0, redrives = o.redrives + 1,
              available_at = now() + (1000 * (wanted.place - 1) / $rate::float8) * interval '1 millisecond'`,
  },
  discard: {
    event: 'mail_discarded',
    changes: `state = 'settled', outcome = 'discarded', settled_at = now()`,
  },
} as const;

/** Carries out a decision on those of its messages that still wait for one, with their audit events; resolves to how many. */
export async function decide(
  { database, audit }: DeadLetterDeps,
  tx: Transaction,
  { action, ids, ratePerSecond, bulkAction }: Decision,
  cause: Cause,
): Promise<number> {
  const { event, changes } = decisions[action];
  const rows = await database.query<DecidedRow>(
    `update outbox o set ${changes}
       from unnest($ids::uuid[]) with ordinality as wanted (id, place)
      where o.id = wanted.id and o.state in ('dead', 'uncertain')
     returning o.id, o.admin_id, o.last_error`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: { ids, ...(action === 'redrive' && { rate: ratePerSecond }) },
    },
  );
  const subjects = rows.map(({ id, admin_id: adminId, last_error: error }) => ({
    adminId: adminId ?? undefined,
    details: {
      outbox_id: id,
      ...(error !== null && { error }),
      ...(bulkAction !== undefined && { bulk_action: bulkAction }),
    },
  }));
  if (subjects.length > 0) await audit.recordAll(event, cause, subjects, tx);
  return rows.length;
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
