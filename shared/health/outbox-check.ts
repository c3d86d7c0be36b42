import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import type { CheckResult } from './checks.js';

/** A message pending for longer means that no relay runs. */
const MAX_PENDING_SECONDS = 120;
/** A message enqueued for longer without an attempt, and no attempt of any other either, means that no consumer runs. */
const MAX_UNTRIED_SECONDS = 300;

interface OutboxAges {
  readonly pending: number;
  readonly oldestPending: number;
  readonly oldestUntried: number;
  readonly oldestOpen: number;
  /** Seconds since the last attempt of any mail. */
  readonly sinceAttempt: number | null;
}

/**
 * Checks that outbox messages make progress. The API enqueues most of them itself, so a missing worker shows only in
 * enqueued messages without an attempt. Reads a bounded number of each kind, by index: those that have waited longest for
 * the relay, or for the sweep.
 */
export async function checkOutbox(database: Database): Promise<CheckResult> {
  const [row] = await database.query<OutboxAges>(
    `with pending as (
       select created_at, available_at from outbox
        where state = 'pending' and available_at <= now()
        order by available_at limit 10000
     ), enqueued as (
       select created_at, enqueued_at, attempts from outbox
        where state = 'enqueued'
        order by coalesce(checked_at, enqueued_at), id limit 1000
     ), ages as (
       select (select min(available_at) from pending) as pending_since,
              (select min(enqueued_at) from enqueued where attempts = 0) as untried_since,
              least((select min(created_at) from pending), (select min(created_at) from enqueued)) as open_since
     )
     select (select count(*)::int from pending) as pending,
            coalesce(extract(epoch from now() - pending_since), 0)::int as "oldestPending",
            coalesce(extract(epoch from now() - untried_since), 0)::int as "oldestUntried",
            coalesce(extract(epoch from now() - open_since), 0)::int as "oldestOpen",
            (select extract(epoch from now() - started_at)::int from deliveries order by id desc limit 1) as "sinceAttempt"
       from ages`,
    { type: QueryTypes.SELECT },
  );
  const { pending = 0, oldestPending = 0, oldestUntried = 0, oldestOpen = 0 } = row ?? {};
  // While the mail server is down attempts are made, though they do not count.
  const sinceAttempt = row?.sinceAttempt ?? Infinity;
  const measures = {
    pending,
    oldest_pending_seconds: oldestPending,
    oldest_untried_seconds: oldestUntried,
    oldest_open_seconds: oldestOpen,
  };
  if (oldestPending > MAX_PENDING_SECONDS)
    return {
      ok: false,
      kind: 'not_relayed',
      problem: 'pending messages are not relayed',
      ...measures,
    };
  if (Math.min(oldestUntried, sinceAttempt) > MAX_UNTRIED_SECONDS)
    return {
      ok: false,
      kind: 'not_processed',
      problem: 'enqueued messages are not being processed',
      ...measures,
    };
  return { ok: true, ...measures };
}
