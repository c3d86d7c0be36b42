import { Op } from 'sequelize';
import type { Transaction } from '../../shared/database/transaction.js';
import {
  sendAccountExistsMail,
  sendSecurityNotice,
  type SecurityNotice,
} from '../../shared/jobs/index.js';
import { OutboxMessage, type Admin } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { tooManyRequests } from '../throttling/too-many-requests.js';

/** Mails that tell admins what has happened to their accounts, promised in the transaction in which it happens. */
export type AccountNotices = ReturnType<typeof createAccountNotices>;

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const MAX_ACCOUNT_EXISTS_PER_DAY = 1;
/** As many as there can be links to new addresses. */
const MAX_ADDRESS_CHANGES_PER_HOUR = 3;

/** @param rateLimitScale multiplies the caps. */
export function createAccountNotices(outbox: Outbox, rateLimitScale: number) {
  const maxAccountExistsPerDay = Math.max(
    1,
    Math.floor(MAX_ACCOUNT_EXISTS_PER_DAY * rateLimitScale),
  );

  const maxAddressChangesPerHour = Math.max(
    1,
    Math.floor(MAX_ADDRESS_CHANGES_PER_HOUR * rateLimitScale),
  );

  /** Tells an admin about a change that it, or somebody with its password or tokens, has made. */
  async function tell(
    tx: Transaction,
    admin: Admin,
    notice: SecurityNotice,
    traceId: string,
  ): Promise<void> {
    await outbox.enqueue(
      tx,
      sendSecurityNotice,
      { v: 1, admin_id: admin.id, notice },
      { adminId: admin.id, recipient: admin.email, traceId },
    );
  }

  /**
   * Tells an admin that another address has been asked for in its name, three times an hour at most, whether that
   * address is somebody's or nobody's. The caller holds the admin's row.
   * @throws {AppError} `too_many_attempts` instead of a fourth.
   */
  async function tellAddressChange(tx: Transaction, admin: Admin, traceId: string): Promise<void> {
    const recent = await OutboxMessage.findAll({
      attributes: ['createdAt'],
      where: {
        adminId: admin.id,
        name: sendSecurityNotice.name,
        payload: { notice: 'email_change_requested' },
        createdAt: { [Op.gt]: new Date(Date.now() - HOUR_MS) },
      },
      order: [['createdAt', 'DESC']],
      limit: maxAddressChangesPerHour,
      transaction: tx,
    });
    const oldest = recent[maxAddressChangesPerHour - 1];
    if (oldest) {
      const resetSeconds = Math.ceil((oldest.createdAt.getTime() + HOUR_MS - Date.now()) / 1_000);
      throw tooManyRequests({
        limit: maxAddressChangesPerHour,
        remaining: 0,
        resetSeconds: Math.max(1, resetSeconds),
      });
    }
    await tell(tx, admin, 'email_change_requested', traceId);
  }

  /** Tells an admin that somebody wanted its address for another account; once a day is enough. */
  async function tellAccountExists(tx: Transaction, admin: Admin, traceId: string): Promise<void> {
    const createdAt = { [Op.gt]: new Date(Date.now() - DAY_MS) };
    const recent = await OutboxMessage.count({
      where: { adminId: admin.id, name: sendAccountExistsMail.name, createdAt },
      transaction: tx,
    });
    if (recent >= maxAccountExistsPerDay) return;
    await outbox.enqueue(
      tx,
      sendAccountExistsMail,
      { v: 1, admin_id: admin.id },
      { adminId: admin.id, recipient: admin.email, traceId },
    );
  }

  return { tell, tellAddressChange, tellAccountExists };
}
