import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { violates } from '../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin, Registration, type Confirmation } from '../../shared/models/index.js';
import { notifyAdmin, type AccountNoticeDeps } from '../admins/account-notices.js';
import { lockAdmin } from '../admins/admin-lock.js';
import {
  findConfirmation,
  lockConfirmation,
  markUsed,
  requestConfirmation,
  requireOpen,
  voidConfirmations,
  type ConfirmationDeps,
} from '../mailed-links/confirmations.js';
import { ownersClient } from '../passwords/hash-limiter.js';
import type { PasswordAttemptLimiter } from '../passwords/password-attempts.js';
import { refuseCommonPassword } from '../passwords/password-policy.js';
import type { Passwords } from '../passwords/passwords.js';
import { createAdmin } from '../registration/confirm.service.js';
import { endSessions } from '../sessions/sessions.service.js';

export interface PasswordResetDeps extends ConfirmationDeps, AccountNoticeDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly passwordAttempts: PasswordAttemptLimiter;
  readonly audit: Audit;
}

/** The input of the page that a mailed link opens. */
export interface NewPassword {
  readonly token: string;
  readonly password: string;
  /** Taken in place of the registered name, if the link confirms a registration. */
  readonly name?: string | undefined;
}

/** Requests the mail with a reset link, if an admin has the address. Runs the same statement for every address. */
export async function forgotPassword(
  deps: PasswordResetDeps,
  email: EmailAddress,
  cause: Cause,
): Promise<void> {
  const request = { purpose: 'password_reset', email } as const;
  await requestConfirmation(deps, request, 'password_reset_requested', cause);
}

/**
 * The name to confirm on a link's page, for an address that has only been registered: a stranger may have entered it.
 * Changes nothing.
 * @throws {AppError} `invalid_token` unless the link can set a password now.
 */
export async function readResetLink(
  deps: Pick<ConfirmationDeps, 'confirmationKeys'>,
  token: string,
): Promise<{ readonly registeredName: string | undefined }> {
  const link = await requireResetLink(deps, token);
  const { emailCanonical } = link;
  if ((await Admin.count({ where: { emailCanonical } })) > 0) return { registeredName: undefined };
  return { registeredName: (await newestOf(link))?.name };
}

async function requireResetLink(
  deps: Pick<ConfirmationDeps, 'confirmationKeys'>,
  token: string,
): Promise<Confirmation> {
  return requireOpen(await findConfirmation(deps, token, ['password_reset']));
}

/**
 * Sets a new password by a mailed link, which works once, ends every session and resets the failed logins. For an address
 * that has only been registered it confirms the newest registration, with this password.
 * @throws {AppError} `invalid_token`, `password_too_common`, `name_taken` (the link remains valid), `overloaded`.
 */
export async function resetPassword(
  deps: PasswordResetDeps,
  { token, password, name }: NewPassword,
  cause: Cause,
): Promise<void> {
  const link = await requireResetLink(deps, token);
  const { emailCanonical } = link;
  const owner = (await Admin.findOne({ where: { emailCanonical } })) ?? (await newestOf(link));
  if (!owner) throw new AppError('invalid_token');
  refuseCommonPassword(password, { email: emailCanonical, name: name ?? owner.name });
  const passwordHash = await deps.passwords.hash(password, ownersClient(cause));
  try {
    await withTransaction(deps.database, async (tx) => {
      const admin = await lockAdmin(tx, { emailCanonical });
      // Of concurrent requests, only the first finds the link open.
      requireOpen(await lockConfirmation(tx, link));
      const adminId = admin
        ? await replacePassword(deps, tx, admin, passwordHash, cause)
        : await confirmNewest(deps, tx, { link, passwordHash, name }, cause);
      await markUsed(tx, link, adminId, cause.ip);
    });
  } catch (error) {
    if (violates(error, 'admins_name_key')) throw new AppError('name_taken', { cause: error });
    if (violates(error, 'admins_email_key')) throw new AppError('invalid_token', { cause: error });
    throw error;
  }
  await deps.passwordAttempts.reset(emailCanonical);
}

const newestOf = (
  { emailCanonical }: Pick<Confirmation, 'emailCanonical'>,
  transaction?: Transaction,
): Promise<Registration | null> =>
  Registration.findOne({
    where: { emailCanonical },
    order: [['id', 'DESC']],
    transaction: transaction ?? null,
  });

/** Logs out and voids the requested change of address: both may belong to somebody else who knew the old password. */
async function replacePassword(
  deps: PasswordResetDeps,
  tx: Transaction,
  admin: Admin,
  passwordHash: string,
  cause: Cause,
): Promise<number> {
  const { id: adminId } = admin;
  await voidConfirmations(tx, { adminId, purpose: 'email_change' });
  await admin.update({ passwordHash, pendingEmail: null }, { transaction: tx });
  await endSessions(tx, { adminId }, 'password');
  await notifyAdmin(deps, tx, admin, 'password_changed', cause);
  const details = { by: 'mailed link' };
  await deps.audit.record('authn_password_change', cause, { adminId, details }, tx);
  return adminId;
}

/** The link proves the mailbox, and its reader has chosen the password: no password of a stranger takes effect. */
async function confirmNewest(
  { audit }: PasswordResetDeps,
  tx: Transaction,
  {
    link,
    passwordHash,
    name,
  }: { link: Confirmation; passwordHash: string; name: string | undefined },
  cause: Cause,
): Promise<number> {
  const registration = await newestOf(link, tx);
  if (!registration) throw new AppError('invalid_token');
  const { id: adminId } = await createAdmin(tx, registration, { name, passwordHash });
  await audit.record('user_created', cause, { adminId }, tx);
  const details = { purpose: 'password_reset' };
  await audit.record('email_confirmed', cause, { adminId, details }, tx);
  return adminId;
}
