import { col, fn, literal, Op, where, type WhereOptions } from 'sequelize';
import type { Cause } from '../../shared/audit/audit.js';
import type { Transaction } from '../../shared/database/transaction.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import {
  MAX_LINKS_PER_HOUR,
  sendConfirmationMail,
  sendSecurityNotice,
  type SecurityNotice,
} from '../../shared/jobs/mail-jobs.js';
import { OutboxMessage, type Admin } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { scaledLimit } from '../../shared/scaled-limit.js';
import { tooManyRequests } from '../rate-limits/rate-limiter.js';

export interface AccountNoticeDeps {
  readonly outbox: Outbox;
  /** Multiplies the limits. */
  readonly rateLimitScale: number;
}

const MAX_ADDRESS_CHANGES_PER_HOUR = 3;
const HOUR_AGO = `(now() - interval '1 hour')`;

/** Sends an admin a mail about a change that was made with its password or tokens, committed with that change. */
export async function notifyAdmin(
  { outbox }: Pick<AccountNoticeDeps, 'outbox'>,
  tx: Transaction,
  admin: Admin,
  notice: SecurityNotice,
  cause: Cause,
): Promise<void> {
  await outbox.enqueue(
    tx,
    sendSecurityNotice,
    { v: 1, admin_id: admin.id, notice },
    { adminId: admin.id, recipient: admin.email, cause },
  );
}

/**
 * Notifies an admin at its current address that a change of address was requested. The caller holds the admin's row lock.
 * @throws {AppError} `too_many_attempts` for a fourth change within an hour, or when changes to the new address have
 *   reached the hourly limit of links to one address.
 */
export async function notifyOfAddressChange(
  deps: AccountNoticeDeps,
  tx: Transaction,
  admin: Admin,
  newEmail: EmailAddress,
  cause: Cause,
): Promise<void> {
  const { rateLimitScale } = deps;
  await requireFewerThan(scaledLimit(MAX_ADDRESS_CHANGES_PER_HOUR, rateLimitScale), tx, {
    adminId: admin.id,
    name: sendSecurityNotice.name,
    payload: { notice: 'email_change_requested' },
  });
  await requireFewerThan(scaledLimit(MAX_LINKS_PER_HOUR, rateLimitScale), tx, {
    name: sendConfirmationMail.name,
    // Only changes of address, whatever their outcome: counting anything else would reveal whether the address is taken.
    adminId: { [Op.not]: null },
    [Op.and]: where(fn('lower', col('recipient')), newEmail.canonical),
  });
  await notifyAdmin(deps, tx, admin, 'email_change_requested', cause);
}

/** @throws {AppError} `too_many_attempts` when so many such messages were written within the last hour. */
async function requireFewerThan(
  limit: number,
  transaction: Transaction,
  messages: WhereOptions<OutboxMessage>,
): Promise<void> {
  const recent = await OutboxMessage.findAll({
    attributes: [[literal(`extract(epoch from created_at - ${HOUR_AGO})::float8`), 'secondsLeft']],
    where: { [Op.and]: [messages, { createdAt: { [Op.gt]: literal(HOUR_AGO) } }] },
    order: [['createdAt', 'DESC']],
    limit,
    transaction,
  });
  const oldest = recent[limit - 1];
  if (!oldest) return;
  const resetSeconds = Math.ceil(oldest.get('secondsLeft') as number);
  throw tooManyRequests({ limit, remaining: 0, resetSeconds: Math.max(1, resetSeconds) });
}
