import { randomUUID } from 'node:crypto';
import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import { retryConflicts } from '../database/transaction.js';
import { redState, type RedState } from './evaluation.js';
import type { ClearedItem, NoticeItem } from './notice.js';
import { isRedStateName, redStateNames, type RedStateName } from './red-states.js';

/** What a report has changed, and what is open now. */
export interface AlertChanges {
  /** Raised by this report. */
  readonly raised: readonly string[];
  /** Cleared by this report. */
  readonly cleared: readonly string[];
  /** Every open alert, also of states that another process sees or another release knows. */
  readonly open: readonly string[];
}

/** A state that no process here knows, such as one of another release, is cleared when it was not seen for this long. */
const FORGOTTEN_MS = 600_000;

/**
 * Shares what this process sees with the others: raises what is not open yet, and clears what neither it nor any other has
 * seen for a while. Of several processes that see the same, one raises it.
 * @param notRed states of which this process knows that they are not red.
 * @param unseenMs an alert is cleared when nobody has seen its state for so long.
 */
export async function reportStates(
  database: Database,
  red: readonly RedState[],
  notRed: readonly RedStateName[],
  unseenMs: number,
): Promise<AlertChanges> {
  const sorted = red.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  const rows = await retryConflicts(() =>
    database.query<{ name: string; change: keyof AlertChanges }>(
      `with seen as (
         select * from unnest($ids::uuid[], $names::text[], $details::text[]) as seen (id, name, detail)
       ), raised as (
         insert into alerts (id, name, detail) select id, name, detail from seen
         on conflict (name) where cleared_at is null
         do update set seen_at = now(), detail = excluded.detail
         returning name, xmax = 0 as is_new
       ), over as (
         update alerts set cleared_at = now()
          where cleared_at is null and name <> all ($names::text[])
            and (seen_at < now() - $forgottenMs * interval '1 millisecond'
                 or name = any ($notRed::text[]) and seen_at < now() - $unseenMs * interval '1 millisecond')
         returning name
       )
       select name, 'raised' as change from raised where is_new
       union all select name, 'open' from raised
       union all select name, 'cleared' from over
       union all select name, 'open' from alerts
                  where cleared_at is null and name <> all ($names::text[]) and name not in (select name from over)`,
      {
        type: QueryTypes.SELECT,
        bind: {
          ids: sorted.map(() => randomUUID()),
          names: sorted.map(({ name }) => name),
          details: sorted.map(({ detail }) => detail.replaceAll('\0', '')),
          notRed,
          unseenMs,
          forgottenMs: FORGOTTEN_MS,
        },
      },
    ),
  );
  const of = (change: keyof AlertChanges): string[] =>
    rows.filter((row) => row.change === change).map(({ name }) => name);
  return { raised: of('raised'), cleared: of('cleared'), open: of('open') };
}

/** Notices that this process has claimed on one channel, to be sent in one message. */
export interface ClaimedNotices {
  readonly raised: readonly NoticeItem[];
  readonly cleared: readonly ClearedItem[];
  /** Identifies them in the table. */
  readonly keys: readonly { readonly alertId: string; readonly kind: 'raised' | 'cleared' }[];
}

/** When notices are due. Milliseconds. */
export interface NoticeTimes {
  /** So long after the first, those that follow go into the same message. */
  readonly gatherMs: number;
  /** Between two messages on one channel. */
  readonly gapMs: number;
  /** Between two notices on one channel that the same state was raised. */
  readonly sameStateMs: number;
  /** A claim lasts so long; longer than sending may take. */
  readonly claimMs: number;
}

export const noticeTimes: NoticeTimes = {
  gatherMs: 10_000,
  gapMs: 60_000,
  sameStateMs: 600_000,
  claimMs: 60_000,
};

/**
 * Claims what is due on a channel: a notice for each raised alert not yet announced, and one for each cleared alert that was
 * announced, or that could not be: its announcement failed, or no process served the channel.
 * Of several processes one gets them. Nothing is due while a claim lasts or a failure is waited out.
 */
export async function claimNotices(
  database: Database,
  channel: string,
  times: NoticeTimes,
): Promise<ClaimedNotices> {
  const rows = await database.query<NoticeRow>(
    `with notices as (
       select n.*, a.name from alert_notices n join alerts a on a.id = n.alert_id where n.channel = $channel
     ), due as (
       select a.id, case when a.cleared_at is null then 'raised' else 'cleared' end as kind,
              coalesce(a.cleared_at, a.raised_at) as at
         from alerts a
        where a.name = any ($known::text[])
          and (a.cleared_at is null or a.cleared_at > now() - interval '1 day')
          and not exists (
            select from notices where alert_id = a.id and sent_at is not null
               and kind = case when a.cleared_at is null then 'raised' else 'cleared' end)
          and (a.cleared_at is not null
                 and exists (
                   select from notices where alert_id = a.id and kind = 'raised' and (sent_at is not null or failures > 0))
               or (a.cleared_at is null or a.cleared_at > now() - interval '1 hour')
                 and not exists (
                   select from notices where name = a.name and sent_at > now() - $sameStateMs * interval '1 millisecond'))
     ), claimed as (
       insert into alert_notices (alert_id, channel, kind, claimed_until)
       select id, $channel, kind, now() + $claimMs * interval '1 millisecond' from due
        where exists (select from due where at < now() - $gatherMs * interval '1 millisecond')
          and not exists (
            select from notices where claimed_until > now() or sent_at > now() - $gapMs * interval '1 millisecond')
        order by id
       on conflict (alert_id, channel, kind) do update set claimed_until = excluded.claimed_until
        where alert_notices.sent_at is null
          and (alert_notices.claimed_until is null or alert_notices.claimed_until <= now())
       returning alert_id, kind
     )
     select a.id, claimed.kind, a.name, a.detail, a.raised_at as since, a.cleared_at as until
       from claimed join alerts a on a.id = claimed.alert_id order by a.raised_at`,
    { type: QueryTypes.SELECT, bind: { channel, known: redStateNames, ...times } },
  );
  return {
    keys: rows.map(({ id, kind }) => ({ alertId: id, kind })),
    raised: rows.filter(({ kind }) => kind === 'raised').flatMap(itemOf),
    cleared: rows
      .filter(({ kind }) => kind === 'cleared')
      .flatMap((row) => itemOf(row).map((item) => ended(item, row.until ?? row.since))),
  };
}

interface NoticeRow {
  readonly id: string;
  readonly kind: 'raised' | 'cleared';
  readonly name: string;
  readonly detail: string;
  readonly since: Date;
  readonly until: Date | null;
}

const itemOf = ({ name, detail, since }: NoticeRow): NoticeItem[] =>
  isRedStateName(name) ? [{ ...redState(name, detail), since }] : [];

const ended = (item: NoticeItem, until: Date): ClearedItem => ({ ...item, until });

/** The first pause after a failure; it doubles up to five minutes. */
const FIRST_RETRY_MS = 15_000;
const MAX_RETRY_MS = 300_000;

/** Records that the notices were delivered, or when they are to be tried again. */
export async function settleNotices(
  database: Database,
  channel: string,
  keys: ClaimedNotices['keys'],
  wasDelivered: boolean,
): Promise<void> {
  await database.query(
    `update alert_notices n
        set sent_at = case when $wasDelivered then now() end,
            failures = failures + case when $wasDelivered then 0 else 1 end,
            claimed_until = case when $wasDelivered then null else
              now() + least($firstMs * power(2, least(failures, 10)), $maxMs) * interval '1 millisecond' end
       from unnest($ids::uuid[], $kinds::text[]) as sent (alert_id, kind)
      where n.alert_id = sent.alert_id and n.kind = sent.kind and n.channel = $channel`,
    {
      bind: {
        channel,
        wasDelivered,
        ids: keys.map(({ alertId }) => alertId),
        kinds: keys.map(({ kind }) => kind),
        firstMs: FIRST_RETRY_MS,
        maxMs: MAX_RETRY_MS,
      },
    },
  );
}

/** Records that a channel was notified of open alerts while PostgreSQL was away. */
export async function recordNotified(
  database: Database,
  channel: string,
  names: readonly string[],
): Promise<void> {
  await database.query(
    `insert into alert_notices (alert_id, channel, kind, sent_at)
     select id, $channel, 'raised', now() from alerts where cleared_at is null and name = any ($names::text[])
     on conflict (alert_id, channel, kind) do update set sent_at = now(), claimed_until = null`,
    { bind: { channel, names } },
  );
}

/** One process gets the turn of this minute. */
export async function claimHeartbeat(database: Database): Promise<boolean> {
  const rows = await database.query(
    `insert into heartbeats (name, called_at) values ('heartbeat', now())
     on conflict (name) do update set called_at = now()
      where heartbeats.called_at < now() - interval '55 seconds' returning name`,
    { type: QueryTypes.SELECT },
  );
  return rows.length > 0;
}

/** The turn was not used: another process may try in its next turn. */
export async function returnHeartbeat(database: Database): Promise<void> {
  await database.query(
    `update heartbeats set called_at = now() - interval '1 hour' where name = 'heartbeat'`,
  );
}
