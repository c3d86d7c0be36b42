import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { idIn, uuidIn } from '../../shared/database/ids.js';
import { messageOf } from '../../shared/errors/message-of.js';

/** Purged rows of each kind. */
export type PurgeResult = Readonly<Record<Kind, number>> & {
  /** Kinds of which the run may have left rows because its time was up. */
  readonly unfinished: number;
};

const BATCH_SIZE = 1_000;
/** The calling daemon times out after a minute; the next run deletes what is left. */
const MAX_DURATION_MS = 40_000;

/**
 * Deletes expired rows. Thirty days after their end: settled messages with their deliveries and events, events about unknown
 * mails, dead and perhaps sent messages whose link or account is deleted, links that were never followed, sessions that ended
 * or expired, registrations that were never confirmed and that no link can still confirm, per-minute metrics, processes that
 * are gone, cleared alerts with their notices, and finished bulk actions. After a year: suppressions that follow a bounce. Clears
 * the new address of an admin once its link has expired. Works in small batches, each a transaction, one of each kind in turn, so
 * that however many there are of one kind the others are purged too; begins none once the signal has aborted. A row that another
 * transaction has locked is left to the next run.
 * @throws at the end when a kind could not be purged: {@link PurgeFailed}, or the error itself if nothing else succeeded.
 */
export async function purgeExpired(database: Database, signal?: AbortSignal): Promise<PurgeResult> {
  const deadline = performance.now() + MAX_DURATION_MS;
  const purged = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>;
  const failures = new Map<Kind, unknown>();
  let left = kinds;
  let hasEnded = false;
  let hasSucceeded = false;
  while (left.length > 0 && !hasEnded) {
    const full: Kind[] = [];
    for (const kind of left) {
      hasEnded = signal?.aborted === true || performance.now() >= deadline;
      if (hasEnded) break;
      try {
        const count = await purgeBatch(database, purges[kind]);
        hasSucceeded = true;
        purged[kind] += count;
        if (count === BATCH_SIZE) full.push(kind);
      } catch (error) {
        failures.set(kind, error);
      }
    }
    if (!hasEnded) left = full;
  }
  if (failures.size > 0) throw hasSucceeded ? new PurgeFailed(failures) : [...failures.values()][0];
  return { ...purged, unfinished: left.length };
}

/** Some kinds could not be purged; the others have been. */
class PurgeFailed extends Error {
  override readonly name = 'PurgeFailed';

  constructor(failures: ReadonlyMap<Kind, unknown>) {
    const each = Array.from(failures, ([kind, error]) => `${kind}: ${messageOf(error)}`);
    super(`not purged: ${each.join('; ')}`, { cause: [...failures.values()][0] });
  }
}

async function purgeBatch(database: Database, sql: string): Promise<number> {
  const rows = await database.query(sql, { type: QueryTypes.SELECT, bind: { limit: BATCH_SIZE } });
  return rows.length;
}

/** Purges a batch of each kind of row. */
const purges = {
  messages: `
    delete from outbox where id in (
      select id from outbox
       where state = 'settled' and settled_at < now() - interval '30 days'
       order by settled_at limit $limit
         for update skip locked)
    returning id`,

  // Of these nothing can be sent any more, whatever an operator decides; they hold an address.
  dead_letters: `
    delete from outbox where id in (
      select id from outbox o
       where state in ('dead', 'uncertain') and given_up_at < now() - interval '30 days'
         and (payload ? 'confirmation_id' and not exists (
                select from confirmations where id = ${uuidIn(`o.payload->>'confirmation_id'`)})
           or payload ? 'admin_id' and not exists (
                select from admins where id = ${idIn(`o.payload->>'admin_id'`)}))
       order by given_up_at limit $limit
         for update skip locked)
    returning id`,

  confirmations: `
    delete from confirmations where id in (
      select id from confirmations
       where case when confirmed_at is null then expires_at end < now() - interval '30 days'
       order by case when confirmed_at is null then expires_at end limit $limit
         for update skip locked)
    returning id`,

  sessions: `
    delete from sessions where id in (
      select id from sessions
       where least(ended_at, expires_at) < now() - interval '30 days'
       limit $limit
         for update skip locked)
    returning id`,

  // Also while the last link is void: a change that ended when its address was taken would reveal that. An admin that was
  // changed a moment ago may have a newer link, which this statement does not see.
  pending_emails: `
    update admins set pending_email = null, updated_at = now() where id = any (array(
      select id from admins a
       where pending_email is not null and updated_at < now() - interval '1 hour'
         and not exists (
           select from (select * from confirmations where admin_id = a.id offset 0) c
            where c.purpose = 'email_change' and c.expires_at > now())
       order by id limit $limit
         for no key update skip locked))
    returning id`,

  // They hold an address and a password hash. A link that was mailed later confirms them until it expires.
  registrations: `
    delete from registrations where id in (
      select id from registrations r
       where created_at < now() - interval '30 days'
         and not exists (
           -- By address alone: without statistics the planner would read all confirmations, or all that are open, for each.
           select from (select * from confirmations where email_canonical = r.email_canonical offset 0) c
            where c.confirmed_at is null and c.superseded_at is null and c.expires_at > now())
       limit $limit
         for update skip locked)
    returning id`,

  // Those of known mails are deleted with their messages. Others were recorded by earlier versions only.
  mail_events: `
    delete from mail_events where id in (
      select id from mail_events
       where outbox_id is null and received_at < now() - interval '30 days'
       limit $limit
         for update skip locked)
    returning id`,

  // An address that bounced may have been assigned since; a complaint stays for good.
  suppressions: `
    delete from suppressions where email_canonical in (
      select email_canonical from suppressions
       where reason = 'bounce' and created_at < now() - interval '1 year'
       limit $limit
         for update skip locked)
    returning email_canonical`,

  metric_minutes: `
    delete from metric_minutes where ctid = any (array(
      select ctid from metric_minutes
       where minute < now() - interval '30 days'
       limit $limit
         for update skip locked))
    returning name`,

  processes: `
    delete from processes where id in (
      select id from processes
       where seen_at < now() - interval '30 days'
       order by seen_at limit $limit
         for update skip locked)
    returning id`,

  // With the record of their notices.
  alerts: `
    delete from alerts where id in (
      select id from alerts
       where cleared_at < now() - interval '30 days'
       order by raised_at limit $limit
         for update skip locked)
    returning id`,

  bulk_actions: `
    delete from bulk_actions where id in (
      select id from bulk_actions
       where created_at < now() - interval '30 days' and finished_at < now() - interval '30 days'
       limit $limit
         for update skip locked)
    returning id`,
} as const satisfies Readonly<Record<string, string>>;

type Kind = keyof typeof purges;

const kinds = Object.keys(purges) as readonly Kind[];
