import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin } from '../../shared/models/index.js';
import { lockAdmin } from './admin-lock.js';
import { hasLoggedInFrom } from './known-networks.js';
import type { PasswordGuard } from './password-guard.js';
import type { Passwords } from './passwords.js';
import type { IssuedTokens, SessionTokens } from './session-tokens.js';

/** What logging in is made of. */
export interface LoginDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly passwordGuard: PasswordGuard;
  readonly tokens: SessionTokens;
  readonly audit: Audit;
}

/** Opening a session by address and password. */
export type LoginService = ReturnType<typeof createLoginService>;

/** The hash can change between a compare and the session: another login renews it, or the password is changed. */
const MAX_TRIES = 2;

export function createLoginService(deps: LoginDeps) {
  const { database, passwords, passwordGuard, tokens, audit } = deps;

  /**
   * Opens a session. An unknown address costs as much work as a known one and gets the same answer.
   * @throws {AppError} `invalid_credentials`; `too_many_attempts`; `overloaded`; `email_not_confirmed`, but only after
   *   a right password.
   */
  async function logIn(email: EmailAddress, password: string, cause: Cause): Promise<IssuedTokens> {
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      const admin = await comparePassword(email, password, cause);
      if (!admin) break;
      if (admin.confirmedAt === null) throw new AppError('email_not_confirmed');
      const isOutdated = passwords.isOutdated(admin.passwordHash);
      const renewedHash = isOutdated ? await passwords.hash(password) : undefined;
      const issued = await openSession(admin, renewedHash, cause);
      if (issued) return issued;
    }
    throw new AppError('invalid_credentials');
  }

  /**
   * Opens a session for whoever knew the password that is in force, and takes a hash under a new pepper or work factor
   * into use. Does nothing when that password has been changed since it was compared: its sessions have all ended.
   */
  function openSession(
    { id, passwordHash: compared }: Admin,
    renewedHash: string | undefined,
    cause: Cause,
  ): Promise<IssuedTokens | undefined> {
    return withTransaction(database, async (tx) => {
      const admin = await lockAdmin(tx, { id });
      if (admin?.passwordHash !== compared) return undefined;
      if (renewedHash !== undefined)
        await admin.update({ passwordHash: renewedHash }, { silent: true, transaction: tx });
      const issued = await tokens.open(tx, admin, cause);
      const facts = { adminId: id, sessionId: issued.sessionId };
      await audit.record('authn_login_success', cause, facts, tx);
      return issued;
    });
  }

  /** The admin whose password it is. Every failure is counted and recorded, and the first try past the limits. */
  async function comparePassword(
    email: EmailAddress,
    password: string,
    cause: Cause,
  ): Promise<Admin | undefined> {
    const emailCanonical = email.canonical;
    const tried: { adminId?: number } = {};
    const find = async (): Promise<Admin | null> => {
      const admin = await Admin.findOne({ where: { emailCanonical } });
      if (admin) tried.adminId = admin.id;
      return admin;
    };
    const onLock = async (): Promise<void> => {
      await find();
      await audit.record('authn_login_lock', cause, tried);
    };
    let known: Promise<boolean> | undefined;
    const isKnownNetwork = (): Promise<boolean> => (known ??= hasLoggedInFrom(email, cause.ip));
    const attempt = { emailCanonical, ip: cause.ip, within: { isKnownNetwork }, onLock };
    const compare = (): Promise<Admin | undefined> => passwords.verify(password, find);
    const admin = await passwords.reserve(() => passwordGuard.attempt(attempt, compare), {
      ip: cause.ip,
      isKnownNetwork,
    });
    if (!admin) await audit.record('authn_login_fail', cause, tried);
    return admin;
  }

  return { logIn };
}
