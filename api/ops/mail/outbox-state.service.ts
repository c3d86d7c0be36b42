import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';

/** The messages of one state; ages in seconds. */
export interface OutboxStateCount {
  readonly count: number;
  readonly oldest_seconds: number | null;
}

/** Open and recently settled outbox messages, counted by state. */
export interface OutboxState {
  /** Due, not enqueued yet. */
  readonly pending: OutboxStateCount;
  /** Due later. */
  readonly scheduled: OutboxStateCount;
  readonly enqueued: OutboxStateCount;
  readonly dead: OutboxStateCount;
  /** Possibly sent; awaiting the decision of an operator. */
  readonly uncertain: OutboxStateCount;
  /** Settled within the last 24 hours, by outcome. */
  readonly settled_last_day: Readonly<Record<string, number>>;
}

/** Counts the outbox messages by state, with the age of the oldest. */
export async function readOutboxState({
  database,
}: {
  readonly database: Database;
}): Promise<OutboxState> {
  const open = await readOpenMessages({ database });
  const settled = await database.query<{ outcome: string | null; count: number }>(
    `select outcome, count(*)::int as count from outbox
      where state = 'settled' and settled_at > now() - interval '24 hours' group by 1 order by 1`,
    { type: QueryTypes.SELECT },
  );
  return {
    ...open,
    settled_last_day: Object.fromEntries(
      settled.map(({ outcome, count }) => [outcome ?? 'unknown', count]),
    ),
  };
}

/** Those that are not settled. */
export type OpenMessages = Omit<OutboxState, 'settled_last_day'>;

/** The same without what is settled, which may be most of the table. */
export async function readOpenMessages({
  database,
}: {
  readonly database: Database;
}): Promise<OpenMessages> {
  const open = await database.query<{ state: string; count: number; age: number | null }>(
    // Of one state at a time, as each has an index of its own. A hundred thousand dead letters are counted by theirs alone.
    `select state, count, extract(epoch from now() - oldest)::int as age from (
       select case when available_at > now() then 'scheduled' else 'pending' end as state,
              count(*)::int as count, min(created_at) as oldest
         from outbox where state = 'pending' group by 1
       union all
       select 'enqueued', count(*)::int, min(created_at) from outbox where state = 'enqueued'
       union all
       select 'dead', count(*)::int, min(created_at) from outbox where state = 'dead'
       union all
       select 'uncertain', count(*)::int, min(created_at) from outbox where state = 'uncertain'
     ) counted`,
    { type: QueryTypes.SELECT },
  );
  const of = (state: string): OutboxStateCount => {
    const row = open.find((each) => each.state === state);
    return { count: row?.count ?? 0, oldest_seconds: row?.age ?? null };
  };
  return {
    pending: of('pending'),
    scheduled: of('scheduled'),
    enqueued: of('enqueued'),
    dead: of('dead'),
    uncertain: of('uncertain'),
  };
}
