import type { Audit, Cause } from '../../shared/audit/audit.js';
import { NOW } from '../../shared/database/clock.js';
import type { Database } from '../../shared/database/connect.js';
import { violates } from '../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { canonicalName } from '../../shared/identity/person-name.js';
import { Admin, Confirmation, Registration } from '../../shared/models/index.js';
import { networkOf } from '../rate-limits/networks.js';
import { lockAdmin, lockComparedAdmin, retryRehashed } from '../admins/admin-lock.js';
import {
  findConfirmation,
  lockConfirmation,
  markUsed,
  OWNERS_PURPOSES,
  requireOpen,
  unexpired,
  voidConfirmations,
  type ConfirmationDeps,
} from '../mailed-links/confirmations.js';
import { ownersClient } from '../passwords/hash-limiter.js';
import type { PasswordAttempt, PasswordAttemptLimiter } from '../passwords/password-attempts.js';
import type { Passwords } from '../passwords/passwords.js';
import { KEPT_REGISTRATIONS } from './registration.service.js';

/** The input of the page that a mailed link opens. */
export interface ConfirmationAnswer {
  readonly token: string;
  /** Of a registration of the address; for a change of address, of the account. */
  readonly password: string;
  /** Taken in place of the registered name. */
  readonly name?: string | undefined;
}

export interface ConfirmDeps extends Pick<ConfirmationDeps, 'confirmationKeys'> {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly passwordAttempts: PasswordAttemptLimiter;
  readonly audit: Audit;
}

/** The links that lead to this page. */
const PURPOSES = ['registration', 'resend', 'email_change'] as const;

/** Another request may confirm the address between the comparison of the password and the transaction. */
const MAX_ATTEMPTS = 2;

/**
 * Confirms the address that a link was mailed to. The link proves the mailbox and the password selects the registration,
 * so that nothing takes effect that a stranger has chosen. Idempotent, if the password is right.
 * @throws {AppError} `invalid_token` for a link that is wrong, superseded or expired, or an address that another account
 *   has taken, which ends a change of address; `wrong_password`, which is counted; `too_many_attempts`; `name_taken`, and
 *   the link remains valid.
 */
export async function confirm(
  deps: ConfirmDeps,
  answer: ConfirmationAnswer,
  cause: Cause,
): Promise<void> {
  const { token } = answer;
  const link = await findConfirmation(deps, token, PURPOSES);
  if (link.purpose === 'email_change')
    await retryRehashed(() => confirmNewAddress(deps, link, answer, cause));
  else await confirmRegistration(deps, link, answer, cause);
}

/** Whether a link is valid, or was used and has not expired. Changes nothing. */
export async function canBeConfirmed(deps: ConfirmDeps, token: string): Promise<boolean> {
  try {
    const link = await findConfirmation(deps, token, PURPOSES);
    if (link.confirmedAt === null) requireOpen(link);
    return true;
  } catch (error) {
    if (isInvalidToken(error)) return false;
    throw error;
  }
}

const isInvalidToken = (error: unknown): boolean =>
  error instanceof AppError && error.code === 'invalid_token';

async function confirmRegistration(
  deps: ConfirmDeps,
  found: Confirmation,
  { password, name }: ConfirmationAnswer,
  cause: Cause,
): Promise<void> {
  let link: Confirmation | null = found;
  for (let attempts = 1; link && attempts <= MAX_ATTEMPTS; attempts += 1) {
    const { emailCanonical } = link;
    const admin = await Admin.findOne({ where: { emailCanonical } });
    if (link.confirmedAt === null) requireOpen(link);
    else requireUsedBy(link, admin);
    const candidates: readonly (Admin | Registration)[] = admin
      ? [admin]
      : await registrationsOf(emailCanonical);
    if (candidates.length > 0) {
      const chosen = await selectByPassword(deps, link, { password, candidates }, cause);
      if (!(chosen instanceof Registration)) return; // already confirmed, with this password
      if (await activate(deps, link, { registration: chosen, name }, cause)) return;
    }
    // Another request may have confirmed the address meanwhile, also if there were no candidates.
    link = await Confirmation.findOne({ where: { ...unexpired, id: link.id } });
  }
  throw new AppError('invalid_token');
}

/**
 * A used link answers the same again for the account that used it.
 * @throws {AppError} `invalid_token` otherwise: a link found in a browser history or a forwarded mail must not serve to
 *   guess passwords.
 */
function requireUsedBy(link: Confirmation, admin: Admin | null): void {
  const isOwn = admin?.id === link.adminId && admin?.emailCanonical === link.emailCanonical;
  if (!isOwn) throw new AppError('invalid_token');
}

const registrationsOf = (emailCanonical: string): Promise<Registration[]> =>
  Registration.findAll({
    where: { emailCanonical },
    order: [['id', 'DESC']],
    limit: KEPT_REGISTRATIONS,
  });

/** Turns a registration into an admin. Resolves to false when the link or the address was used meanwhile. */
async function activate(
  { database, passwordAttempts, audit }: ConfirmDeps,
  link: Confirmation,
  { registration, name }: { registration: Registration; name: string | undefined },
  cause: Cause,
): Promise<boolean> {
  try {
    await withTransaction(database, async (tx) => {
      requireOpen(await lockConfirmation(tx, link));
      const admin = await createAdmin(tx, registration, { name });
      await markUsed(tx, link, admin.id, cause.ip);
      const details = { purpose: 'registration' };
      await audit.record('user_created', cause, { adminId: admin.id }, tx);
      await audit.record('email_confirmed', cause, { adminId: admin.id, details }, tx);
    });
  } catch (error) {
    if (violates(error, 'admins_name_key')) throw new AppError('name_taken', { cause: error });
    // Of concurrent requests, only the first succeeds.
    if (violates(error, 'admins_email_key') || isInvalidToken(error)) return false;
    throw error;
  }
  await passwordAttempts.reset(link.emailCanonical);
  return true;
}

/**
 * Creates the admin of a registration, and deletes all registrations of the address.
 * @param instead overrides the registered values.
 */
export async function createAdmin(
  tx: Transaction,
  registration: Registration,
  instead: { readonly name?: string | undefined; readonly passwordHash?: string },
): Promise<Admin> {
  const { email, emailCanonical, name, nameCanonical, passwordHash } = registration;
  const admin = await Admin.create(
    {
      email,
      emailCanonical,
      name,
      nameCanonical,
      passwordHash: instead.passwordHash ?? passwordHash,
      ...(instead.name !== undefined && {
        name: instead.name,
        nameCanonical: canonicalName(instead.name),
      }),
    },
    { transaction: tx },
  );
  await Registration.destroy({ where: { emailCanonical }, transaction: tx });
  return admin;
}

/** Moves the account to its confirmed new address. */
async function confirmNewAddress(
  deps: ConfirmDeps,
  link: Confirmation,
  { password }: ConfirmationAnswer,
  cause: Cause,
): Promise<void> {
  const { database, audit } = deps;
  const asker = await Admin.findByPk(link.adminId ?? 0);
  if (!asker) throw new AppError('invalid_token');
  if (link.confirmedAt === null) requireOpen(link);
  else requireUsedBy(link, asker);
  await selectByPassword(deps, link, { password, candidates: [asker] }, cause);
  if (link.confirmedAt !== null) return;
  try {
    await withTransaction(database, async (tx) => {
      const admin = await lockComparedAdmin(tx, asker);
      const current = await lockConfirmation(tx, link);
      if (current?.confirmedAt) return;
      requireOpen(current);
      if (!admin) throw new AppError('invalid_token');
      await moveAddress(tx, admin, link, cause);
      const details = { purpose: 'email_change' };
      await audit.record('email_confirmed', cause, { adminId: admin.id, details }, tx);
    });
  } catch (error) {
    if (!violates(error, 'admins_email_key')) throw error;
    await withdrawChange(deps, asker.id, link);
    throw new AppError('invalid_token', { cause: error });
  }
  await deps.passwordAttempts.reset(link.emailCanonical);
}

/**
 * Ends a change to an address that another account has taken. Not before its link is followed, with the account's password: a
 * `pending_email` that went when the address was taken would reveal to whoever asked for it that it has an account.
 * @throws {AppError} `invalid_token` when another request has ended the change.
 */
async function withdrawChange(
  { database }: ConfirmDeps,
  adminId: number,
  link: Confirmation,
): Promise<void> {
  await withTransaction(database, async (tx) => {
    const admin = await lockAdmin(tx, { id: adminId });
    requireOpen(await lockConfirmation(tx, link));
    await voidConfirmations(tx, { adminId, purpose: 'email_change' });
    await admin?.update({ pendingEmail: null }, { transaction: tx });
  });
}

/**
 * Also deletes registrations of the new address, and voids the links that were mailed to the old or the new one, except those
 * of other accounts that want the new one: see {@link withdrawChange}.
 */
async function moveAddress(
  tx: Transaction,
  admin: Admin,
  link: Confirmation,
  { ip }: Cause,
): Promise<void> {
  const { email, emailCanonical } = link;
  await voidConfirmations(tx, { emailCanonical: admin.emailCanonical });
  await link.update({ confirmedAt: NOW, network: networkOf(ip) }, { transaction: tx });
  await voidConfirmations(tx, { emailCanonical, purpose: OWNERS_PURPOSES });
  await Registration.destroy({ where: { emailCanonical }, transaction: tx });
  await admin.update({ email, emailCanonical, pendingEmail: null }, { transaction: tx });
}

/**
 * The candidate that the password belongs to. Only readers of the address's mail get here, so attempts are counted
 * separately from those at the login, and strangers cannot use them up.
 * @throws {AppError} `wrong_password`, `too_many_attempts`.
 */
async function selectByPassword<Candidate extends Admin | Registration>(
  { passwords, passwordAttempts, audit }: ConfirmDeps,
  { emailCanonical, adminId }: Confirmation,
  { password, candidates }: { password: string; candidates: readonly Candidate[] },
  cause: Cause,
): Promise<Candidate> {
  const facts = { adminId: adminId ?? undefined };
  const attempt: PasswordAttempt = {
    emailCanonical,
    ip: cause.ip,
    within: 'mailed link',
    onLock: (details) => audit.record('authn_login_lock', cause, { ...facts, details }),
  };
  const compare = async (): Promise<Candidate | undefined> => {
    for (const candidate of candidates) {
      const match = await passwords.verify(password, () => Promise.resolve(candidate));
      if (match) return match;
    }
    return undefined;
  };
  const chosen = await passwords.reserve(
    () => passwordAttempts.attempt(attempt, compare),
    ownersClient(cause),
  );
  if (chosen) return chosen;
  await audit.record('email_confirm_fail', cause, facts);
  throw new AppError('wrong_password');
}
