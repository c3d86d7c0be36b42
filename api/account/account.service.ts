import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { violates } from '../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { canonicalName } from '../../shared/identity/person-name.js';
import type { Admin, Principal } from '../../shared/models/index.js';
import type { AccountNotices } from '../admins/account-notices.js';
import { lockAdmin } from '../admins/admin-lock.js';
import { ownersClient } from '../passwords/known-networks.js';
import {
  requestConfirmation,
  voidConfirmations,
  type ConfirmationDeps,
} from '../mailed-links/confirmations.js';
import type { PasswordGuard } from '../passwords/password-guard.js';
import { refuseCommonPassword } from '../passwords/password-policy.js';
import type { Passwords } from '../passwords/passwords.js';
import { endSessions } from '../sessions/session-end.js';

/** What an admin changes of itself. An address and a password need the current password. */
export interface AccountChanges {
  readonly name?: string | undefined;
  readonly email?: EmailAddress | undefined;
  readonly password?: string | undefined;
  readonly currentPassword?: string | undefined;
}

export interface AccountDeps extends ConfirmationDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly passwordGuard: PasswordGuard;
  readonly notices: AccountNotices;
  readonly audit: Audit;
}

/** An admin's dealings with its own account. */
export type AccountService = ReturnType<typeof createAccountService>;

export function createAccountService(deps: AccountDeps) {
  const { database, passwords, notices, audit } = deps;

  /**
   * Changes all that is asked for, or nothing. A new password ends all other sessions; a new address waits until the
   * link mailed to it is followed, and the old one is told; three an hour can be asked for.
   * @throws {AppError} `validation_failed` without the current password where it is needed, `wrong_password`, `password_too_common`, `name_taken`, `too_many_attempts`.
   */
  async function change(
    principal: Principal,
    changes: AccountChanges,
    cause: Cause,
  ): Promise<Admin> {
    const { admin: asker, sessionId } = principal;
    const { name, email, password } = changes;
    const needsPassword = email !== undefined || password !== undefined;
    if (needsPassword) await requirePassword(deps, principal, changes.currentPassword, cause);
    if (password !== undefined) {
      for (const { canonical } of [{ canonical: asker.emailCanonical }, ...(email ? [email] : [])])
        refuseCommonPassword(password, { email: canonical, name: name ?? asker.name });
    }
    const passwordHash =
      password === undefined ? undefined : await passwords.hash(password, ownersClient(cause));
    try {
      return await withTransaction(database, async (tx) => {
        const admin = await lockAsker(tx, asker, needsPassword);
        await admin.update(
          {
            ...(name !== undefined && { name, nameCanonical: canonicalName(name) }),
            ...(passwordHash !== undefined && { passwordHash, pendingEmail: null }),
          },
          { transaction: tx },
        );
        if (passwordHash !== undefined) {
          // Whoever knew the old password may have asked for another address.
          await voidConfirmations(tx, { adminId: admin.id, purpose: 'email_change' });
          const { emailCanonical } = admin;
          await voidConfirmations(tx, { emailCanonical, purpose: 'password_reset' });
          await endSessions({ adminId: admin.id, except: sessionId }, 'password', tx);
          await notices.tell(tx, admin, 'password_changed', cause);
          await audit.record('authn_password_change', cause, { adminId: admin.id, sessionId }, tx);
        }
        if (email !== undefined) await askForAddress(tx, admin, email, cause);
        return admin;
      });
    } catch (error) {
      if (violates(error, 'admins_name_key')) throw new AppError('name_taken', { cause: error });
      throw error;
    }
  }

  /**
   * Deletes an admin with its users and sessions, and voids the links that were mailed to its address.
   * @throws {AppError} `wrong_password`.
   */
  async function remove(
    principal: Principal,
    currentPassword: string,
    cause: Cause,
  ): Promise<void> {
    await requirePassword(deps, principal, currentPassword, cause);
    await withTransaction(database, async (tx) => {
      const admin = await lockAsker(tx, principal.admin, true);
      await voidConfirmations(tx, { emailCanonical: admin.emailCanonical });
      await admin.destroy({ transaction: tx });
      await audit.record('user_deleted', cause, { adminId: admin.id }, tx);
    });
  }

  /** The same whether somebody has the address or not: the worker mails a link, or tells its owner. */
  async function askForAddress(
    tx: Transaction,
    admin: Admin,
    email: EmailAddress,
    cause: Cause,
  ): Promise<void> {
    if (email.canonical === admin.emailCanonical) {
      await voidConfirmations(tx, { adminId: admin.id, purpose: 'email_change' });
      await admin.update({ email: email.address, pendingEmail: null }, { transaction: tx });
      return;
    }
    await notices.tellAddressChange(tx, admin, email, cause);
    await voidConfirmations(tx, { adminId: admin.id, purpose: 'email_change' });
    await admin.update({ pendingEmail: email.address }, { transaction: tx });
    const request = { purpose: 'email_change', email, adminId: admin.id } as const;
    const outboxId = await requestConfirmation(deps, tx, request, cause);
    const facts = { adminId: admin.id, details: { outbox_id: outboxId } };
    await audit.record('email_change_requested', cause, facts, tx);
  }

  return { change, remove };
}

/**
 * The asker's row as it is now.
 * @throws {AppError} `unauthorized` when it is gone; `wrong_password` when the password that was compared, if one was
 *   needed, has been changed since.
 */
async function lockAsker(tx: Transaction, asker: Admin, needsPassword: boolean): Promise<Admin> {
  const admin = await lockAdmin(tx, { id: asker.id });
  if (!admin) throw new AppError('unauthorized');
  if (needsPassword && admin.passwordHash !== asker.passwordHash)
    throw new AppError('wrong_password');
  return admin;
}

/**
 * Every wrong password is counted, for this session alone, and recorded. One that is missing was no guess.
 * @throws {AppError} `validation_failed`, `wrong_password`, `too_many_attempts`.
 */
async function requirePassword(
  { passwords, passwordGuard, audit }: Pick<AccountDeps, 'passwords' | 'passwordGuard' | 'audit'>,
  { admin, sessionId }: Principal,
  password: string | undefined,
  cause: Cause,
): Promise<void> {
  if (password === undefined) {
    const fault = { pointer: '#/current_password', detail: 'is required for this change' };
    throw new AppError('validation_failed', { fields: [fault] });
  }
  const { id: adminId, emailCanonical } = admin;
  const attempt = {
    emailCanonical,
    ip: cause.ip,
    within: { sessionId },
    onLock: () => audit.record('authn_login_lock', cause, { adminId }),
  };
  const compare = (): Promise<Admin | undefined> =>
    passwords.verify(password, () => Promise.resolve(admin), ownersClient(cause));
  if (await passwordGuard.attempt(attempt, compare)) return;
  await audit.record('authn_password_change_fail', cause, { adminId });
  throw new AppError('wrong_password');
}
