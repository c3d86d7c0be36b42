import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import { LOST_AFTER_SECONDS } from '../presence/read-processes.js';

/** Deliveries that fail for longer, while no mail is sent, mean that all mail is failing. */
const MAX_UNSENT_SECONDS = 600;
/** Mails to so many recipients cannot all be at fault themselves; nor can mails to two domains. */
const MIN_RECIPIENTS = 3;
const MIN_DOMAINS = 2;

/** Messages that have failed for long, and since the last mail was sent. */
interface LongFailing {
  readonly recipients: number;
  readonly domains: number;
  readonly oldestSeconds: number | null;
  /** Whether a worker reports that the mail server is out of reach, or refuses us. */
  readonly isServerAtFault: boolean;
}

/**
 * For an operator: why every delivery fails, such as a wrong password, a paused account or an unknown host. Undefined
 * when a mail was sent in the last ten minutes, or no delivery failed before them. Also when it may be about single mails:
 * they failed before another was sent, or go to one or two recipients of one domain. Not part of readiness: no process is at
 * fault.
 */
export async function findDeliveryFailure(database: Database): Promise<string | undefined> {
  const { recipients, domains, oldestSeconds, isServerAtFault } = await findLongFailing(database);
  const areSeveral = recipients >= MIN_RECIPIENTS || domains >= MIN_DOMAINS;
  if (oldestSeconds === null || !(areSeveral || isServerAtFault)) return undefined;
  const { count, reason } = await readFailed(database);
  const minutes = Math.floor(oldestSeconds / 60);
  return `none was sent in the last ten minutes; ${count} failed and wait, the oldest for ${minutes} minutes: ${reason}`;
}

/**
 * Reads a bounded number of open messages of each state, by its index, with their deliveries. A message is due when it was
 * asked for or redriven: what failed before says nothing about now.
 */
async function findLongFailing(database: Database): Promise<LongFailing> {
  const [row] = await database.query<LongFailing>(
    `with waiting as (
       (select id, recipient, available_at from outbox
         where state = 'pending' and last_error is not null and available_at < now() - $seconds * interval '1 second'
         limit 500)
       union all
       (select id, recipient, available_at from outbox
         where state = 'enqueued' and last_error is not null and available_at < now() - $seconds * interval '1 second'
         limit 500)
     ), failing as (
       select coalesce(lower(recipient), id::text) as recipient,
              reverse(split_part(reverse(lower(recipient)), '@', 1)) as domain, first_failure.at
         from waiting
        cross join lateral (
          select min(finished_at) as at from deliveries
           where outbox_id = waiting.id and started_at >= waiting.available_at and outcome in ('deferred', 'refused')
        ) first_failure
        where first_failure.at < now() - $seconds * interval '1 second'
          and first_failure.at > coalesce(
                (select max(settled_at) from outbox where state = 'settled' and outcome = 'sent'), '-infinity')
     )
     select count(distinct recipient)::int as recipients, count(distinct domain)::int as domains,
            extract(epoch from now() - min(at))::int as "oldestSeconds",
            exists (
              select from processes, jsonb_each(health) as fact
               where stopped_at is null and seen_at > now() - $lost * interval '1 second'
                 and fact.key in ('smtp', 'smtp_circuit') and fact.value->>'ok' = 'false'
            ) as "isServerAtFault"
       from failing`,
    {
      type: QueryTypes.SELECT,
      bind: { seconds: MAX_UNSENT_SECONDS, lost: LOST_AFTER_SECONDS },
    },
  );
  return row ?? { recipients: 0, domains: 0, oldestSeconds: null, isServerAtFault: false };
}

/** Counts the open messages that failed, with their most frequent error: all of them, of one state at a time by its index. */
async function readFailed(database: Database): Promise<{ count: number; reason: string }> {
  const [row] = await database.query<{ count: number; reason: string }>(
    `with failed as (
       select last_error from outbox where state = 'pending' and last_error is not null
       union all
       select last_error from outbox where state = 'enqueued' and last_error is not null
     )
     select count(*)::int as count, coalesce(left(mode() within group (order by last_error), 200), '') as reason
       from failed`,
    { type: QueryTypes.SELECT },
  );
  return row ?? { count: 0, reason: '' };
}
