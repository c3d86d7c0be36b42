import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';

/** How mails fared within the last hour. */
export interface MailFlow {
  readonly sent: number;
  /** From the request to the mail server's reply, of the mails sent last; null if there were none. */
  readonly median_seconds: number | null;
  /** When the last mail was sent, within the last day. */
  readonly last_sent_at: Date | null;
  /** For so long the oldest mail is due that no worker has tried; null when none is waiting. */
  readonly oldest_untried_seconds: number | null;
}

/** The median is that of so many mails at most. */
const MAX_MEASURED = 5_000;
/** Of the enqueued mails those that the sweep has checked longest ago are looked at, as by readiness. */
const MAX_ENQUEUED = 1_000;

/** Counts the mails that were sent within the last hour, as they are recorded: sooner than the per-minute metrics. */
export async function readMailFlow({
  database,
}: {
  readonly database: Database;
}): Promise<MailFlow> {
  const [row] = await database.query<MailFlow>(
    `with sent as materialized (
       select settled_at, settled_at - created_at as took from outbox
        where state = 'settled' and outcome = 'sent' and settled_at > now() - interval '1 hour'
     )
     select (select count(*)::int from sent) as sent,
            (select extract(epoch from percentile_cont(0.5) within group (order by took))::float8
               from (select took from sent order by settled_at desc limit $most) measured) as median_seconds,
            (select settled_at from outbox
              where state = 'settled' and outcome = 'sent' and settled_at > now() - interval '1 day'
              order by settled_at desc limit 1) as last_sent_at,
            extract(epoch from now() - least(
              (select available_at from outbox
                where state = 'pending' and available_at <= now() order by available_at limit 1),
              (select min(enqueued_at) from (
                 select enqueued_at, attempts from outbox where state = 'enqueued'
                  order by coalesce(checked_at, enqueued_at), id limit $enqueued) enqueued
                where attempts = 0)))::int as oldest_untried_seconds`,
    { type: QueryTypes.SELECT, bind: { most: MAX_MEASURED, enqueued: MAX_ENQUEUED } },
  );
  return row ?? { sent: 0, median_seconds: null, last_sent_at: null, oldest_untried_seconds: null };
}
