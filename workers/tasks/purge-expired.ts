import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';

/** How many rows of each kind a purge deleted. */
export interface PurgeResult {
  readonly messages: number;
  readonly confirmations: number;
  readonly sessions: number;
  readonly admins: number;
  readonly mailEvents: number;
  readonly suppressions: number;
}

const BATCH_SIZE = 1_000;
/** The daemon that calls waits a minute; what is left is for the next run. */
const MAX_DURATION_MS = 40_000;

/**
 * Deletes what nobody asks for any more: settled messages with their deliveries and events, events about mails that we
 * do not know, links that were never followed, sessions that have ended or expired and admins who never confirmed, all
 * of them 30 days after their end; and the memory of an address that bounced after a year. Works in small batches, each
 * a transaction, and begins none once the signal has aborted. A row that somebody has locked is left for the next run.
 */
export async function purgeExpired(database: Database, signal?: AbortSignal): Promise<PurgeResult> {
  const deadline = Date.now() + MAX_DURATION_MS;
  const untilNone = async (kind: keyof PurgeResult): Promise<number> => {
    let total = 0;
    while (!signal?.aborted && Date.now() < deadline) {
      const count = await deleteBatch(database, purges[kind]);
      total += count;
      if (count < BATCH_SIZE) break;
    }
    return total;
  };
  return {
    messages: await untilNone('messages'),
    confirmations: await untilNone('confirmations'),
    sessions: await untilNone('sessions'),
    admins: await untilNone('admins'),
    mailEvents: await untilNone('mailEvents'),
    suppressions: await untilNone('suppressions'),
  };
}

async function deleteBatch(database: Database, sql: string): Promise<number> {
  const rows = await database.query(sql, { type: QueryTypes.SELECT, bind: { limit: BATCH_SIZE } });
  return rows.length;
}

/** How each kind of row is deleted, a batch at a time. */
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

  // Registered, and never confirmed: somebody's address, and a password that nobody uses.
  admins: `
    delete from admins where id in (
      select a.id from admins a
       where a.confirmed_at is null and a.updated_at < now() - interval '30 days'
         and not exists (select from confirmations c where c.admin_id = a.id and c.expires_at > now())
       limit $limit
         for update skip locked)
    returning id`,

  // Those about mails that we know go with their messages.
  mailEvents: `
    delete from mail_events where id in (
      select id from mail_events
       where outbox_id is null and received_at < now() - interval '30 days'
       limit $limit
         for update skip locked)
    returning id`,

  // An address that did not exist may be somebody's by now; who has complained is left in peace for good.
  suppressions: `
    delete from suppressions where email_canonical in (
      select email_canonical from suppressions
       where reason = 'bounce' and created_at < now() - interval '1 year'
       limit $limit
         for update skip locked)
    returning email_canonical`,
};
