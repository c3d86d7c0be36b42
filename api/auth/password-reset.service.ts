import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import type { AccountNotices } from './account-notices.js';
import { lockAdmin } from './admin-lock.js';
import type { Confirmations } from './confirmations.js';
import { refuseCommonPassword } from './password-policy.js';
import type { Passwords } from './passwords.js';
import { endSessions } from './session-end.js';

/** What resetting passwords is made of. */
export interface PasswordResetDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly confirmations: Confirmations;
  readonly notices: AccountNotices;
  readonly audit: Audit;
}

/** For admins who have forgotten their password. */
export type PasswordResetService = ReturnType<typeof createPasswordResetService>;

export function createPasswordResetService(deps: PasswordResetDeps) {
  const { database, passwords, confirmations, notices, audit } = deps;

  /** Mails a link to a confirmed admin; does nothing for anybody else, and nobody can tell the difference. */
  async function forgot(email: EmailAddress, cause: Cause): Promise<void> {
    await withTransaction(database, async (tx) => {
      const admin = await lockAdmin(tx, { emailCanonical: email.canonical });
      if (!admin || admin.confirmedAt === null) return;
      const question = {
        adminId: admin.id,
        purpose: 'password_reset',
        email: admin.email,
      } as const;
      await confirmations.ask(tx, question, cause.traceId);
    });
  }

  /**
   * Sets a new password by a mailed token, which is good once, and ends every session.
   * @throws {AppError} `invalid_token`, `password_too_common`.
   */
  async function reset(token: string, password: string, cause: Cause): Promise<void> {
    // Looked at before the costly hash, and again when it is used: it may have been used meanwhile.
    const owner = await confirmations.ownerOf(token, 'password_reset');
    refuseCommonPassword(password, { email: owner.emailCanonical, name: owner.name });
    const passwordHash = await passwords.hash(password);
    await withTransaction(database, async (tx) => {
      const { admin, isFirst } = await confirmations.answer(tx, token, ['password_reset']);
      if (!isFirst) throw new AppError('invalid_token');
      const adminId = admin.id;
      // Whoever knew the old password may have asked for another address.
      await confirmations.withdraw(tx, adminId, ['email_change', 'password_reset']);
      await admin.update({ passwordHash, pendingEmail: null }, { transaction: tx });
      await endSessions({ adminId }, 'password', tx);
      await notices.tell(tx, admin, 'password_changed', cause.traceId);
      const details = { by: 'mailed link' };
      await audit.record('authn_password_change', cause, { adminId, details }, tx);
    });
  }

  return { forgot, reset };
}
