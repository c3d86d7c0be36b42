import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';

/** Deleted rows of each kind. */
export interface PurgeResult {
  readonly messages: number;
  readonly confirmations: number;
  readonly sessions: number;
  readonly registrations: number;
  readonly mailEvents: number;
  readonly suppressions: number;
  readonly metricMinutes: number;
  readonly processes: number;
  readonly alerts: number;
  readonly bulkActions: number;
}

const BATCH_SIZE = 1_000;
/** The calling daemon times out after a minute; the next run deletes what is left. */
const MAX_DURATION_MS = 40_000;

/**
 * Deletes expired rows: settled messages with their deliveries and events, events about unknown mails, links that were never
 * followed, sessions that ended or expired and registrations that were never confirmed, 30 days after their end; and
 * suppressions after a bounce, after a year. Works in small batches, each a transaction, and begins none once the signal has
 * aborted. A row that another transaction has locked is left to the next run.
 */
export async function purgeExpired(database: Database, signal?: AbortSignal): Promise<PurgeResult> {
  const deadline = Date.now() + MAX_DURATION_MS;
  const purgeAll = async (kind: keyof PurgeResult): Promise<number> => {
    let total = 0;
    while (!signal?.aborted && Date.now() < deadline) {
      const count = await deleteBatch(database, purges[kind]);
      total += count;
      if (count < BATCH_SIZE) break;
    }
    return total;
  };
  return {
    messages: await purgeAll('messages'),
    confirmations: await purgeAll('confirmations'),
    sessions: await purgeAll('sessions'),
    registrations: await purgeAll('registrations'),
    mailEvents: await purgeAll('mailEvents'),
    suppressions: await purgeAll('suppressions'),
    metricMinutes: await purgeAll('metricMinutes'),
    processes: await purgeAll('processes'),
    alerts: await purgeAll('alerts'),
    bulkActions: await purgeAll('bulkActions'),
  };
}

async function deleteBatch(database: Database, sql: string): Promise<number> {
  const rows = await database.query(sql, { type: QueryTypes.SELECT, bind: { limit: BATCH_SIZE } });
  return rows.length;
}

/** Deletes a batch of each kind of row. */
const purges: Readonly<Record<keyof PurgeResult, string>> = {
  messages: `
    delete from outbox where id in (
      select id from outbox
       where state = 'settled' and settled_at < now() - interval '30 days'
       order by settled_at limit $limit
         for update skip locked)
    returning id`,

  confirmations: `
    delete from confirmations where id in (
      select id from confirmations
       where confirmed_at is null and expires_at < now() - interval '30 days'
       limit $limit
         for update skip locked)
    returning id`,

  sessions: `
    delete from sessions where id in (
      select id from sessions
       where least(ended_at, expires_at) < now() - interval '30 days'
       limit $limit
         for update skip locked)
    returning id`,

  // They hold an address and a password hash.
  registrations: `
    delete from registrations where id in (
      select id from registrations
       where created_at < now() - interval '30 days'
       limit $limit
         for update skip locked)
    returning id`,

  // Those of known mails are deleted with their messages. Others were recorded by earlier releases only.
  mailEvents: `
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

  metricMinutes: `
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

  bulkActions: `
    delete from bulk_actions where id in (
      select id from bulk_actions
       where created_at < now() - interval '30 days' and finished_at < now() - interval '30 days'
       limit $limit
         for update skip locked)
    returning id`,
};
