import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';

/** The mails that one worker is delivering. */
export interface OpenDeliveries {
  /** Host and process id. */
  readonly worker: string;
  readonly count: number;
  readonly oldest_seconds: number;
  /** The message that has taken the longest. */
  readonly oldest_outbox_id: string;
}

/** What each worker is delivering, the longest delivery first. A worker that was killed counts until its claims expire. */
export function readOpenDeliveries({
  database,
}: {
  readonly database: Database;
}): Promise<OpenDeliveries[]> {
  return database.query<OpenDeliveries>(
    // Each state alone, as the indexes have them. A killed worker leaves the deliveries of earlier attempts open for ever.
    `select d.worker, count(*)::int as count, extract(epoch from now() - min(d.started_at))::float8 as oldest_seconds,
            (array_agg(d.outbox_id order by d.started_at, d.id))[1] as oldest_outbox_id
       from outbox o join deliveries d on d.outbox_id = o.id and d.attempt = o.attempts
      where (o.state = 'pending' or o.state = 'enqueued') and o.claimed_until > now() and d.finished_at is null
      group by d.worker order by oldest_seconds desc, d.worker`,
    { type: QueryTypes.SELECT },
  );
}
