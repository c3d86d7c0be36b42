import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import type { CheckResult } from './checks.js';

/** Pending for longer than this means that nobody relays. */
const MAX_PENDING_SECONDS = 120;
/** On the queue for longer than this without a try, and no try of any other either, means that nobody works. */
const MAX_UNTRIED_SECONDS = 300;

/** Older than this while none is sent, although it is tried, means that no mail leaves. */
const MAX_UNSENT_SECONDS = 600;

interface OutboxAges {
  readonly pending: number;
  readonly oldestPending: number;
  readonly oldestUntried: number;
  readonly oldestOpen: number;
  /** Since a worker last tried any mail. */
  readonly sinceTry: number | null;
}

/**
 * Tells whether promised messages move on. The API marks most of them as enqueued by itself, so a worker that is gone
 * shows only in what is on the queue and never tried. Looks at so many of each kind at most, by index: those that have
 * waited longest to be relayed, or to be looked after by the sweep.
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
            (select extract(epoch from now() - started_at)::int from deliveries order by id desc limit 1) as "sinceTry"
       from ages`,
    { type: QueryTypes.SELECT },
  );
  const { pending = 0, oldestPending = 0, oldestUntried = 0, oldestOpen = 0 } = row ?? {};
  // While the mail server is away the tries that are made do not count, but they are made.
  const sinceTry = row?.sinceTry ?? Infinity;
  const measures = {
    pending,
    oldest_pending_seconds: oldestPending,
    oldest_untried_seconds: oldestUntried,
    oldest_open_seconds: oldestOpen,
  };
  if (oldestPending > MAX_PENDING_SECONDS)
    return { ok: false, problem: 'pending messages are not relayed', ...measures };
  if (Math.min(oldestUntried, sinceTry) > MAX_UNTRIED_SECONDS)
    return { ok: false, problem: 'enqueued messages are not worked on', ...measures };
  return { ok: true, ...measures };
}

interface FailedOpen {
  readonly count: number;
  readonly oldestSeconds: number;
  readonly reason: string;
  readonly hasSent: boolean;
}

/**
 * What holds mails up that are tried while none leaves, such as a wrong password, a paused account or a host without an
 * address, in words for an operator. Undefined while a mail was sent in the last ten minutes, or none that has failed is
 * older than that. Not part of readiness: no process is at fault. Looks at all open messages.
 */
export async function findDeliveryFailure(database: Database): Promise<string | undefined> {
  const [row] = await database.query<FailedOpen>(
    `with failed as (
       select created_at, last_error from outbox
        where state in ('pending', 'enqueued') and last_error is not null
     )
     select count(*)::int as count,
            coalesce(extract(epoch from now() - min(created_at)), 0)::int as "oldestSeconds",
            coalesce(left(mode() within group (order by last_error), 200), '') as reason,
            exists (
              select from outbox
               where state = 'settled' and outcome = 'sent'
                 and settled_at > now() - $seconds * interval '1 second'
            ) as "hasSent"
       from failed`,
    { type: QueryTypes.SELECT, bind: { seconds: MAX_UNSENT_SECONDS } },
  );
  if (!row || row.hasSent || row.oldestSeconds <= MAX_UNSENT_SECONDS) return undefined;
  const minutes = Math.floor(row.oldestSeconds / 60);
  return `none was sent in the last ten minutes; ${row.count} failed and wait, the oldest for ${minutes} minutes: ${row.reason}`;
}
