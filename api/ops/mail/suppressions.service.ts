import { QueryTypes } from 'sequelize';
import * as z from 'zod';
import type { Audit, Cause } from '../../../shared/audit/audit.js';
import type { Database } from '../../../shared/database/connect.js';
import { isStorable } from '../../../shared/database/storable-text.js';
import { withTransaction } from '../../../shared/database/transaction.js';
import { AppError } from '../../../shared/errors/app-error.js';
import type { EmailAddress } from '../../../shared/identity/email-address.js';
import {
  Admin,
  MailEvent,
  Suppression,
  type SuppressionReason,
} from '../../../shared/models/index.js';
import { allOf, when } from '../condition.js';
import { pageOf, placeOf, Time, type Page, type PageRequest } from '../keyset.js';

export interface SuppressionDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/**
 * Lifts the suppression of an address. Mails that were skipped meanwhile are not sent.
 * @returns why it was suppressed.
 * @throws {AppError} `not_found` when the address is not suppressed.
 */
export function liftSuppression(
  { database, audit }: SuppressionDeps,
  { canonical }: EmailAddress,
  cause: Cause,
): Promise<SuppressionReason> {
  return withTransaction(database, async (tx) => {
    const suppression = await Suppression.findByPk(canonical, {
      lock: tx.LOCK.UPDATE,
      transaction: tx,
    });
    if (!suppression) throw new AppError('not_found', { detail: 'the address is not suppressed' });
    const { reason, eventId } = suppression;
    await suppression.destroy({ transaction: tx });
    const admin = await Admin.findOne({ where: { emailCanonical: canonical }, transaction: tx });
    const event = eventId === null ? null : await MailEvent.findByPk(eventId, { transaction: tx });
    const outboxId = event?.outboxId ?? undefined;
    // The audit stores no addresses; the outbox message leads to it.
    const details = { suppression: reason, ...(outboxId !== undefined && { outbox_id: outboxId }) };
    await audit.record('email_suppression_lifted', cause, { adminId: admin?.id, details }, tx);
    return reason;
  });
}

/** True when no mail is sent to an address. */
export async function isSuppressed(
  { database }: Pick<SuppressionDeps, 'database'>,
  { canonical }: EmailAddress,
): Promise<boolean> {
  const rows = await database.query('select from suppressions where email_canonical = $canonical', {
    type: QueryTypes.SELECT,
    bind: { canonical },
  });
  return rows.length > 0;
}

/** An address that gets no mail, and why. */
export interface SuppressedAddress {
  readonly address: string;
  readonly reason: SuppressionReason;
  readonly since: Date;
  /** The mail that bounced or was complained about, and what the provider reported; null once that is deleted. */
  readonly outbox_id: string | null;
  readonly detail: string | null;
}

/** In the place of an id, for rows whose key is an address. */
const TimeAndAddress = z.tuple([Time, z.string().max(254).refine(isStorable)]);

const AFTER = '(created_at, email_canonical) < ($at::timestamptz, $address)';

/** The suppressed addresses, the newest first; only those that begin with a text, if one is given. */
export async function listSuppressions(
  { database }: Pick<SuppressionDeps, 'database'>,
  { limit, cursor, prefix }: PageRequest & { readonly prefix?: string | undefined },
): Promise<Page<SuppressedAddress>> {
  const [at, address] = placeOf(TimeAndAddress, cursor) ?? [];
  const { sql, bind } = allOf([
    at === undefined ? undefined : { sql: AFTER, bind: { at, address } },
    when('prefix', prefix?.toLowerCase() || undefined, 'starts_with(email_canonical, $prefix)'),
  ]);
  const found = await database.query<SuppressedAddress & { key: string }>(
    // The events are looked up for the rows of the page alone.
    `select s.email_canonical as address, s.reason, s.created_at as since, e.outbox_id, e.detail, s.created_at::text as key
       from (select * from suppressions where ${sql}
              order by created_at desc, email_canonical desc limit $limit) s
       left join lateral (select outbox_id, detail from mail_events where id = s.event_id limit 1) e on true
      order by s.created_at desc, s.email_canonical desc`,
    { type: QueryTypes.SELECT, bind: { ...bind, limit: limit + 1 } },
  );
  const page = pageOf(found, limit, (row) => [row.key, row.address]);
  return { ...page, rows: page.rows.map(({ key: _key, ...suppressed }) => suppressed) };
}
