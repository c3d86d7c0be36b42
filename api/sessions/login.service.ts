import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { lockAdmin } from '../admins/admin-lock.js';
import { isKnownNetwork } from '../passwords/known-networks.js';
import type { PasswordAttemptLimiter } from '../passwords/password-attempts.js';
import type { Passwords } from '../passwords/passwords.js';
import { openSession, type IssuedTokens, type SessionTokenDeps } from './session-tokens.js';

export interface LoginDeps extends SessionTokenDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly passwordAttempts: PasswordAttemptLimiter;
  readonly audit: Audit;
}

/** The stored hash can change between comparison and session: another login rehashes it, or the password is changed. */
const MAX_ATTEMPTS = 2;

/**
 * Opens a session. A refusal costs the same work whether or not the address is known.
 * @throws {AppError} `invalid_credentials`; `too_many_attempts`; `overloaded`; `email_not_confirmed` for the password of
 *   a registration, whether or not an account has the address.
 */
export async function logIn(
  deps: LoginDeps,
  email: EmailAddress,
  password: string,
  cause: Cause,
): Promise<IssuedTokens> {
  for (let attempts = 1; attempts <= MAX_ATTEMPTS; attempts += 1) {
    const admin = await checkPassword(deps, email, password, cause);
    if (!admin) break;
    const isOutdated = deps.passwords.isOutdated(admin.passwordHash);
    const newHash = isOutdated ? await deps.passwords.hash(password) : undefined;
    const issued = await openSessionIfUnchanged(deps, admin, newHash, cause);
    if (issued) return issued;
  }
  throw new AppError('invalid_credentials');
}

/**
 * Opens the session, and stores the new hash if the pepper or work factor has changed. Resolves to `undefined` when the
 * password has been changed since it was compared: that has ended all of its sessions.
 */
function openSessionIfUnchanged(
  deps: LoginDeps,
  { id, passwordHash: compared }: KnownAdmin,
  newHash: string | undefined,
  cause: Cause,
): Promise<IssuedTokens | undefined> {
  return withTransaction(deps.database, async (tx) => {
    const admin = await lockAdmin(tx, { id });
    if (admin?.passwordHash !== compared) return undefined;
    if (newHash !== undefined)
      await admin.update({ passwordHash: newHash }, { silent: true, transaction: tx });
    const issued = await openSession(deps, tx, admin, cause);
    const facts = { adminId: id, sessionId: issued.sessionId };
    await deps.audit.record('authn_login_success', cause, facts, tx);
    return issued;
  });
}

/** The admin, if the password is its own. Every failure is counted and audited, and so is the first refused attempt. */
async function checkPassword(
  { database, passwords, passwordAttempts, audit }: LoginDeps,
  email: EmailAddress,
  password: string,
  cause: Cause,
): Promise<KnownAdmin | undefined> {
  const emailCanonical = email.canonical;
  const audited: { adminId?: number | undefined } = {};
  const find = async (): Promise<StoredPasswords> => {
    const stored = await findStoredPasswords(database, emailCanonical);
    audited.adminId = stored.admin?.id;
    return stored;
  };
  const onLock = async (): Promise<void> => {
    await find();
    await audit.record('authn_login_lock', cause, audited);
  };
  let known: Promise<boolean> | undefined;
  const isFromKnownNetwork = (): Promise<boolean> =>
    (known ??= isKnownNetwork(database, email, cause.ip));
  const compare = async (): Promise<KnownAdmin | undefined> =>
    comparePassword(passwords, password, await find());
  const within = { isKnownNetwork: isFromKnownNetwork };
  const attempt = { emailCanonical, ip: cause.ip, within, onLock };
  const client = { ip: cause.ip, isKnownNetwork: isFromKnownNetwork };
  const admin = await passwords.reserve(() => passwordAttempts.attempt(attempt, compare), client);
  if (!admin) await audit.record('authn_login_fail', cause, audited);
  return admin;
}

/** @throws {AppError} `email_not_confirmed` for the password of the registration. */
async function comparePassword(
  passwords: Passwords,
  password: string,
  { admin, registration }: StoredPasswords,
): Promise<KnownAdmin | undefined> {
  const match = await passwords.verify(password, () => Promise.resolve(admin));
  if (match) return match;
  // For confirmed addresses too: registering an address and trying that password must not reveal which addresses they are.
  if (await passwords.verify(password, () => Promise.resolve(registration)))
    throw new AppError('email_not_confirmed');
  return undefined;
}

interface KnownAdmin {
  readonly id: number;
  readonly passwordHash: string;
}

interface StoredPasswords {
  readonly admin: KnownAdmin | null;
  /** The newest unconfirmed registration of the address. */
  readonly registration: { readonly passwordHash: string } | null;
}

async function findStoredPasswords(
  database: Database,
  emailCanonical: string,
): Promise<StoredPasswords> {
  const rows = await database.query<{ id: number | null; passwordHash: string }>(
    `select id, password_hash as "passwordHash" from admins where email_canonical = $emailCanonical
      union all
     (select null, password_hash from registrations where email_canonical = $emailCanonical order by id desc limit 1)`,
    { type: QueryTypes.SELECT, bind: { emailCanonical } },
  );
  const admin = rows.find((row): row is KnownAdmin => row.id !== null);
  return { admin: admin ?? null, registration: rows.find(({ id }) => id === null) ?? null };
}
