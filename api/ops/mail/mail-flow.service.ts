import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';

/** How mails fared within the last hour. */
export interface MailFlow {
  readonly sent: number;
  /** From the request to the mail server's reply, of the mails sent last; null if there were none. */
  readonly median_seconds: number | null;
  /** When the last mail was sent, within the last day. */
  readonly last_sent_at: Date | null;
}

/** The median is that of so many mails at most. */
const MAX_MEASURED = 5_000;

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
              order by settled_at desc limit 1) as last_sent_at`,
    { type: QueryTypes.SELECT, bind: { most: MAX_MEASURED } },
  );
  return row ?? { sent: 0, median_seconds: null, last_sent_at: null };
}
