import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { lockAdmin } from '../admins/admin-lock.js';
import { isKnownNetwork } from '../passwords/known-networks.js';
import type { PasswordGuard } from '../passwords/password-guard.js';
import type { Passwords } from '../passwords/passwords.js';
import type { IssuedTokens, SessionTokens } from './session-tokens.js';

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
   * Opens a session. Whatever is known of the address, a refusal costs the same work.
   * @throws {AppError} `invalid_credentials`; `too_many_attempts`; `overloaded`; `email_not_confirmed` for the password of
   *   a registration, whether the address is somebody's account or not.
   */
  async function logIn(email: EmailAddress, password: string, cause: Cause): Promise<IssuedTokens> {
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      const admin = await comparePassword(email, password, cause);
      if (!admin) break;
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
    { id, passwordHash: compared }: KnownAdmin,
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

  /** The admin, if it is its password. Every failure is counted and recorded, and the first try past the limits. */
  async function comparePassword(
    email: EmailAddress,
    password: string,
    cause: Cause,
  ): Promise<KnownAdmin | undefined> {
    const emailCanonical = email.canonical;
    const tried: { adminId?: number | undefined } = {};
    const look = async (): Promise<KnownPasswords> => {
      const known = await knownPasswords(database, emailCanonical);
      tried.adminId = known.admin?.id;
      return known;
    };
    const onLock = async (): Promise<void> => {
      await look();
      await audit.record('authn_login_lock', cause, tried);
    };
    let known: Promise<boolean> | undefined;
    const isFromKnownNetwork = (): Promise<boolean> =>
      (known ??= isKnownNetwork(database, email, cause.ip));
    const compare = async (): Promise<KnownAdmin | undefined> => {
      const { admin, registration } = await look();
      const match = await passwords.verify(password, () => Promise.resolve(admin));
      if (match) return match;
      // For confirmed addresses too: who registers one with a password and tries that is not to learn which it is.
      if (await passwords.verify(password, () => Promise.resolve(registration)))
        throw new AppError('email_not_confirmed');
      return undefined;
    };
    const within = { isKnownNetwork: isFromKnownNetwork };
    const attempt = { emailCanonical, ip: cause.ip, within, onLock };
    const client = { ip: cause.ip, isKnownNetwork: isFromKnownNetwork };
    const admin = await passwords.reserve(() => passwordGuard.attempt(attempt, compare), client);
    if (!admin) await audit.record('authn_login_fail', cause, tried);
    return admin;
  }

  return { logIn };
}

interface KnownAdmin {
  readonly id: number;
  readonly passwordHash: string;
}

/** The passwords that are known for an address. */
interface KnownPasswords {
  readonly admin: KnownAdmin | null;
  /** The newest of the registrations that nobody has confirmed. */
  readonly registration: { readonly passwordHash: string } | null;
}

async function knownPasswords(database: Database, emailCanonical: string): Promise<KnownPasswords> {
  const rows = await database.query<{ id: number | null; passwordHash: string }>(
    `select id, password_hash as "passwordHash" from admins where email_canonical = $emailCanonical
      union all
     (select null, password_hash from registrations where email_canonical = $emailCanonical order by id desc limit 1)`,
    { type: QueryTypes.SELECT, bind: { emailCanonical } },
  );
  const admin = rows.find((row): row is KnownAdmin => row.id !== null);
  return { admin: admin ?? null, registration: rows.find(({ id }) => id === null) ?? null };
}
