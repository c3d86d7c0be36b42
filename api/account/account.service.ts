import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { violates } from '../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { canonicalName } from '../../shared/identity/person-name.js';
import { Admin, type AdminRow, type Principal } from '../../shared/models/index.js';
import {
  notifyAdmin,
  notifyOfAddressChange,
  type AccountNoticeDeps,
} from '../admins/account-notices.js';
import { lockAdmin, lockComparedAdmin, retryRehashed } from '../admins/admin-lock.js';
import {
  requestConfirmation,
  voidConfirmations,
  type ConfirmationDeps,
} from '../mailed-links/confirmations.js';
import { ownersClient } from '../passwords/hash-limiter.js';
import type { PasswordAttempt, PasswordAttemptLimiter } from '../passwords/password-attempts.js';
import { refuseCommonPassword } from '../passwords/password-policy.js';
import type { Passwords } from '../passwords/passwords.js';
import { endSessions } from '../sessions/sessions.service.js';

/** What an admin changes in its account. A new address and a new password need the current password. */
export interface AccountChanges {
  readonly name?: string | undefined;
  readonly email?: EmailAddress | undefined;
  readonly password?: string | undefined;
  readonly currentPassword?: string | undefined;
}

export interface AccountDeps extends ConfirmationDeps, AccountNoticeDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly passwordAttempts: PasswordAttemptLimiter;
  readonly audit: Audit;
}

/**
 * Makes all changes, or none. A new password ends all other sessions and resets the failed logins; a new address takes
 * effect when the link mailed to it is followed, and the old one is notified.
 * @throws {AppError} `validation_failed` without the current password where it is needed, `wrong_password`,
 *   `password_too_common`, `name_taken`, `too_many_attempts` (for passwords, or past three changes of address an hour).
 */
export function changeAccount(
  deps: AccountDeps,
  principal: Principal,
  changes: AccountChanges,
  cause: Cause,
): Promise<Admin> {
  return retryRehashed(async (isRetry) =>
    changeOnce(deps, isRetry ? await reloaded(principal) : principal, changes, cause),
  );
}

async function changeOnce(
  deps: AccountDeps,
  principal: Principal,
  changes: AccountChanges,
  cause: Cause,
): Promise<Admin> {
  const { admin: asker, sessionId } = principal;
  const { name, email, password } = changes;
  const needsPassword = email !== undefined || password !== undefined;
  if (needsPassword) await requirePassword(deps, principal, changes.currentPassword, cause);
  if (password !== undefined) refuseCommonPasswordFor(asker, password, changes);
  const passwordHash =
    password === undefined ? undefined : await deps.passwords.hash(password, ownersClient(cause));
  try {
    const changed = await withTransaction(deps.database, async (tx) => {
      const admin = await lockAsker(tx, asker, needsPassword);
      await admin.update(
        {
          ...(name !== undefined && { name, nameCanonical: canonicalName(name) }),
          ...(passwordHash !== undefined && { passwordHash, pendingEmail: null }),
        },
        { transaction: tx, returning: true },
      );
      if (passwordHash !== undefined)
        await revokeOtherAccess(deps, tx, { admin, sessionId }, cause);
      if (email !== undefined) await requestAddress(deps, tx, admin, email, cause);
      return admin;
    });
    // What was guessed at the old password is worth nothing now.
    if (passwordHash !== undefined) await deps.passwordAttempts.reset(changed.emailCanonical);
    return changed;
  } catch (error) {
    if (violates(error, 'admins_name_key')) throw new AppError('name_taken', { cause: error });
    throw error;
  }
}

/**
 * Deletes an admin with its users and sessions, and voids the links that were mailed to its address.
 * @throws {AppError} `wrong_password`, `too_many_attempts`.
 */
export function deleteAccount(
  deps: AccountDeps,
  principal: Principal,
  currentPassword: string,
  cause: Cause,
): Promise<void> {
  return retryRehashed(async (isRetry) => {
    const asker = isRetry ? await reloaded(principal) : principal;
    await requirePassword(deps, asker, currentPassword, cause);
    await withTransaction(deps.database, async (tx) => {
      const admin = await lockAsker(tx, asker.admin, true);
      await voidConfirmations(tx, { emailCanonical: admin.emailCanonical });
      await admin.destroy({ transaction: tx });
      await deps.audit.record('user_deleted', cause, { adminId: admin.id }, tx);
    });
  });
}

/** @throws {AppError} `unauthorized` when the admin was deleted. */
async function reloaded(principal: Principal): Promise<Principal> {
  const admin = await Admin.findByPk(principal.admin.id);
  if (!admin) throw new AppError('unauthorized');
  return { ...principal, admin };
}

/** The password must not be a common one with the current address or the new one, and the name that the account will have. */
function refuseCommonPasswordFor(
  asker: AdminRow,
  password: string,
  { email, name = asker.name }: AccountChanges,
): void {
  refuseCommonPassword(password, { email: asker.emailCanonical, name });
  if (email !== undefined) refuseCommonPassword(password, { email: email.canonical, name });
}

/** After a change of password: ends all other sessions, and voids what somebody with the old one may have requested. */
async function revokeOtherAccess(
  deps: AccountDeps,
  tx: Transaction,
  { admin, sessionId }: { readonly admin: Admin; readonly sessionId: number },
  cause: Cause,
): Promise<void> {
  const { id: adminId, emailCanonical } = admin;
  await voidConfirmations(tx, { adminId, purpose: 'email_change' });
  await voidConfirmations(tx, { emailCanonical, purpose: 'password_reset' });
  await endSessions(tx, { adminId, except: sessionId }, 'password');
  await notifyAdmin(deps, tx, admin, 'password_changed', cause);
  await deps.audit.record('authn_password_change', cause, { adminId, sessionId }, tx);
}

/** Runs the same statements whether or not the address is taken; the worker mails a link, or notifies the address's owner. */
async function requestAddress(
  deps: AccountDeps,
  tx: Transaction,
  admin: Admin,
  email: EmailAddress,
  cause: Cause,
): Promise<void> {
  if (email.canonical === admin.emailCanonical)
    return respellAddress(deps.audit, tx, admin, email, cause);
  await notifyOfAddressChange(deps, tx, admin, email, cause);
  await voidConfirmations(tx, { adminId: admin.id, purpose: 'email_change' });
  await admin.update({ pendingEmail: email.address }, { transaction: tx, returning: true });
  const request = { purpose: 'email_change', email, adminId: admin.id } as const;
  await requestConfirmation(deps, request, 'email_change_requested', cause, tx);
}

/** Takes effect at once, and withdraws a pending change: both are audited. The same spelling again changes nothing. */
async function respellAddress(
  audit: Audit,
  tx: Transaction,
  admin: Admin,
  { address }: EmailAddress,
  cause: Cause,
): Promise<void> {
  const { id: adminId } = admin;
  const details = {
    spelling: admin.email !== address,
    pending_withdrawn: admin.pendingEmail !== null,
  };
  await voidConfirmations(tx, { adminId, purpose: 'email_change' });
  await admin.update({ email: address, pendingEmail: null }, { transaction: tx, returning: true });
  if (details.spelling || details.pending_withdrawn)
    await audit.record('email_change_requested', cause, { adminId, details }, tx);
}

/**
 * The asker's row as it is now, locked.
 * @throws {AppError} `unauthorized` when it was deleted; `wrong_password` when the hash that was compared, if one was needed,
 *   is not its own any more.
 */
async function lockAsker(tx: Transaction, asker: AdminRow, needsPassword: boolean): Promise<Admin> {
  const admin = needsPassword
    ? await lockComparedAdmin(tx, asker)
    : await lockAdmin(tx, { id: asker.id });
  if (!admin) throw new AppError('unauthorized');
  return admin;
}

/**
 * Every wrong password is counted, per session, and audited. A missing one is not a guess.
 * @throws {AppError} `validation_failed`, `wrong_password`, `too_many_attempts`.
 */
async function requirePassword(
  { passwords, passwordAttempts, audit }: AccountDeps,
  { admin, sessionId }: Principal,
  password: string | undefined,
  cause: Cause,
): Promise<void> {
  if (password === undefined) {
    const fault = { pointer: '#/current_password', detail: 'is required for this change' };
    throw new AppError('validation_failed', { fields: [fault] });
  }
  const { id: adminId, emailCanonical } = admin;
  const attempt: PasswordAttempt = {
    emailCanonical,
    ip: cause.ip,
    within: { sessionId },
    onLock: (details) => audit.record('authn_login_lock', cause, { adminId, sessionId, details }),
  };
  const compare = (): Promise<AdminRow | undefined> =>
    passwords.verify(password, () => Promise.resolve(admin), ownersClient(cause));
  if (await passwordAttempts.attempt(attempt, compare)) return;
  await audit.record('authn_password_change_fail', cause, { adminId });
  throw new AppError('wrong_password');
}
