import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import { normalizeReply } from '../smtp/smtp-reply.js';

// Finds out from the last deliveries of all workers whether an answer is about one mail or about the sender.

interface RecentDelivery {
  readonly id: string;
  readonly recipient: string;
  readonly outcome: string;
  readonly response: string;
  readonly at: number;
  /** When the message was refused for the first time, if it was. */
  readonly firstRefusedAt: number | null;
}

/** The same answer to so many recipients in a row is about the sender. */
const MIN_RECIPIENTS = 3;
/** How many deliveries are searched for a series. */
const MAX_DELIVERIES = 200;

/** Consecutive mails that were refused with the same answer. */
export interface RefusedSeries {
  /** The ids of their messages. */
  readonly messages: ReadonlySet<string>;
  /** How many of them were reopened. */
  readonly reopened: number;
  /** How many attempts the series has. */
  readonly attempts: number;
}

/**
 * Reopens refused messages when mails to several recipients in a row got the same answer and none was sent in between:
 * then the answer is about the sender. A message that was refused before the last mail was sent stays dead: the answer is
 * about it. Their attempts do not count.
 * @returns `undefined` when there is no such series.
 */
export async function reopenRefusedSeries(
  database: Database,
  answer: string,
): Promise<RefusedSeries | undefined> {
  const deliveries = await recentDeliveries(database);
  const lastSentAt = Math.max(
    -Infinity,
    ...deliveries.filter(({ outcome }) => outcome === 'sent').map(({ at }) => at),
  );
  const kind = normalizeReply(answer);
  const refused = deliveries.filter(
    ({ outcome, response, at, firstRefusedAt }) =>
      outcome === 'refused' &&
      at > lastSentAt &&
      (firstRefusedAt ?? at) > lastSentAt &&
      normalizeReply(response) === kind,
  );
  if (new Set(refused.map(({ recipient }) => recipient)).size < MIN_RECIPIENTS) return undefined;
  const messages = new Set(refused.map(({ id }) => id));
  const reopened = await reopen(database, [...messages]);
  return { messages, reopened, attempts: refused.length };
}

function recentDeliveries(database: Database): Promise<RecentDelivery[]> {
  return database.query<RecentDelivery>(
    `select d.outbox_id as id, coalesce(lower(o.recipient), o.id::text) as recipient, d.outcome,
            coalesce(d.response, '') as response, extract(epoch from d.finished_at)::float8 as at,
            (select extract(epoch from min(e.finished_at))::float8 from deliveries e
              where e.outbox_id = d.outbox_id and e.outcome = 'refused') as "firstRefusedAt"
       from (select * from deliveries order by id desc limit ${MAX_DELIVERIES}) d
       join outbox o on o.id = d.outbox_id
      where d.outcome in ('sent', 'refused')`,
    { type: QueryTypes.SELECT },
  );
}

/** Like a redrive, but without counting the attempt. Redis would refuse a job under the old id. */
async function reopen(database: Database, ids: readonly string[]): Promise<number> {
  const rows = await database.query(
    `update outbox
        set state = 'pending', available_at = now(), generation = generation + 1, enqueue_count = 0,
            attempts = greatest(attempts - 1, 0)
      where id = any($ids::uuid[]) and state = 'dead'
     returning id`,
    { type: QueryTypes.SELECT, bind: { ids } },
  );
  return rows.length;
}

/** True when the message got this answer before and another mail was sent since. */
export async function isAboutThisMail(
  database: Database,
  { id, deliveryId }: { readonly id: string; readonly deliveryId: string },
  answer: string,
): Promise<boolean> {
  const earlier = await database.query<{ response: string }>(
    `select coalesce(d.response, '') as response from deliveries d
      where d.outbox_id = $id and d.id <> $deliveryId and d.outcome = 'deferred'
        and exists (
          select from (select * from deliveries order by id desc limit ${MAX_DELIVERIES}) r
           where r.outcome = 'sent' and r.finished_at > d.finished_at
        )`,
    { type: QueryTypes.SELECT, bind: { id, deliveryId } },
  );
  const kind = normalizeReply(answer);
  return earlier.some(({ response }) => normalizeReply(response) === kind);
}

/** True when a worker, or one that is not `notBy`, has sent a mail within the last `withinMs`. */
export async function hasSentWithin(
  database: Database,
  withinMs: number,
  { notBy = null }: { readonly notBy?: string | null } = {},
): Promise<boolean> {
  const [row] = await database.query<{ has: boolean }>(
    `select exists (
       select from (select * from deliveries order by id desc limit ${MAX_DELIVERIES}) r
        where r.outcome = 'sent' and r.worker is distinct from $notBy
          and r.finished_at > now() - $withinMs * interval '1 millisecond'
     ) as has`,
    { type: QueryTypes.SELECT, bind: { notBy, withinMs } },
  );
  return row?.has ?? false;
}
