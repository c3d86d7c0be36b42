import { Op } from 'sequelize';
import type { Transaction } from '../../shared/database/transaction.js';
import {
  sendAccountExistsMail,
  sendSecurityNotice,
  type SecurityNotice,
} from '../../shared/jobs/index.js';
import { OutboxMessage, type Admin } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';

/** Mails that tell admins what has happened to their accounts, promised in the transaction in which it happens. */
export type AccountNotices = ReturnType<typeof createAccountNotices>;

const DAY_MS = 86_400_000;
const MAX_ACCOUNT_EXISTS_PER_DAY = 1;

/** @param rateLimitScale multiplies the cap on notices that a stranger can cause. */
export function createAccountNotices(outbox: Outbox, rateLimitScale: number) {
  const maxAccountExistsPerDay = Math.max(
    1,
    Math.floor(MAX_ACCOUNT_EXISTS_PER_DAY * rateLimitScale),
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

  return { tell, tellAccountExists };
}
