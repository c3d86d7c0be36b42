import { col, fn, Op, where, type WhereOptions } from 'sequelize';
import type { Cause } from '../../shared/audit/audit.js';
import type { Transaction } from '../../shared/database/transaction.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import {
  MAX_LINKS_PER_HOUR,
  scaledLimit,
  sendConfirmationMail,
  sendSecurityNotice,
  type SecurityNotice,
} from '../../shared/jobs/mail-jobs.js';
import { OutboxMessage, type Admin } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { tooManyRequests } from '../throttling/too-many-requests.js';

/** Mails that tell admins what has happened to their accounts, promised in the transaction in which it happens. */
export type AccountNotices = ReturnType<typeof createAccountNotices>;

const HOUR_MS = 3_600_000;
const MAX_ADDRESS_CHANGES_PER_HOUR = 3;

/** @param rateLimitScale multiplies the limits. */
export function createAccountNotices(outbox: Outbox, rateLimitScale: number) {
  const maxAddressChanges = scaledLimit(MAX_ADDRESS_CHANGES_PER_HOUR, rateLimitScale);
  const maxLinks = scaledLimit(MAX_LINKS_PER_HOUR, rateLimitScale);

  /** Tells an admin about a change that it, or somebody with its password or tokens, has made. */
  async function tell(
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
   * Tells an admin that another address has been asked for in its name. The caller holds the admin's row.
   * @throws {AppError} `too_many_attempts` instead of a fourth within an hour, or when as many have asked for the new
   *   address within an hour as links are mailed to it.
   */
  async function tellAddressChange(
    tx: Transaction,
    admin: Admin,
    newEmail: EmailAddress,
    cause: Cause,
  ): Promise<void> {
    const asked = { adminId: admin.id, name: sendSecurityNotice.name };
    const payload = { notice: 'email_change_requested' };
    await refusePast(maxAddressChanges, tx, { ...asked, payload });
    await refusePast(maxLinks, tx, {
      name: sendConfirmationMail.name,
      // Changes alone, whatever became of them: all else would tell whether somebody has the address.
      adminId: { [Op.not]: null },
      [Op.and]: where(fn('lower', col('recipient')), newEmail.canonical),
    });
    await tell(tx, admin, 'email_change_requested', cause);
  }

  return { tell, tellAddressChange };
}

/** @throws {AppError} `too_many_attempts` when there have been so many such messages within an hour. */
async function refusePast(
  limit: number,
  transaction: Transaction,
  messages: WhereOptions<OutboxMessage>,
): Promise<void> {
  const recent = await OutboxMessage.findAll({
    attributes: ['createdAt'],
    where: { [Op.and]: [messages, { createdAt: { [Op.gt]: new Date(Date.now() - HOUR_MS) } }] },
    order: [['createdAt', 'DESC']],
    limit,
    transaction,
  });
  const oldest = recent[limit - 1];
  if (!oldest) return;
  const resetSeconds = Math.ceil((oldest.createdAt.getTime() + HOUR_MS - Date.now()) / 1_000);
  throw tooManyRequests({ limit, remaining: 0, resetSeconds: Math.max(1, resetSeconds) });
}
