import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { lockAdmin } from './admin-lock.js';
import { isKnownNetwork } from './known-networks.js';
import type { PasswordGuard } from './password-guard.js';
import type { Passwords } from './passwords.js';
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
   * Opens a session. An unknown address costs as much work as a known one and gets the same answer.
   * @throws {AppError} `invalid_credentials`; `too_many_attempts`; `overloaded`; `email_not_confirmed`, but only after
   *   a right password.
   */
  async function logIn(email: EmailAddress, password: string, cause: Cause): Promise<IssuedTokens> {
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      const owner = await comparePassword(email, password, cause);
      if (!owner) break;
      const { adminId, passwordHash } = owner;
      if (adminId === null) throw new AppError('email_not_confirmed');
      const isOutdated = passwords.isOutdated(passwordHash);
      const renewedHash = isOutdated ? await passwords.hash(password) : undefined;
      const issued = await openSession({ id: adminId, passwordHash }, renewedHash, cause);
      if (issued) return issued;
    }
    throw new AppError('invalid_credentials');
  }

  /**
   * Opens a session for whoever knew the password that is in force, and takes a hash under a new pepper or work factor
   * into use. Does nothing when that password has been changed since it was compared: its sessions have all ended.
   */
  function openSession(
    { id, passwordHash: compared }: { readonly id: number; readonly passwordHash: string },
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

  /** The owner of the address, if it is its password. Every failure is counted and recorded, and the first try past the limits. */
  async function comparePassword(
    email: EmailAddress,
    password: string,
    cause: Cause,
  ): Promise<PasswordOwner | undefined> {
    const emailCanonical = email.canonical;
    const tried: { adminId?: number } = {};
    const find = async (): Promise<PasswordOwner | null> => {
      const owner = await ownerOf(database, emailCanonical);
      if (owner?.adminId != null) tried.adminId = owner.adminId;
      return owner;
    };
    const onLock = async (): Promise<void> => {
      await find();
      await audit.record('authn_login_lock', cause, tried);
    };
    const within = { isKnownNetwork: () => isKnownNetwork(database, email, cause.ip) };
    const attempt = { emailCanonical, ip: cause.ip, within, onLock };
    const compare = (): Promise<PasswordOwner | undefined> => passwords.verify(password, find);
    const owner = await passwords.reserve(() => passwordGuard.attempt(attempt, compare));
    if (!owner) await audit.record('authn_login_fail', cause, tried);
    return owner;
  }

  return { logIn };
}

/** Whose password is in force for an address. */
interface PasswordOwner {
  /** `null` for a registration that has not been confirmed. */
  readonly adminId: number | null;
  readonly passwordHash: string;
}

/** The admin with the address, else its newest registration: one hash to compare with, as for an unknown address. */
async function ownerOf(database: Database, emailCanonical: string): Promise<PasswordOwner | null> {
  const [row] = await database.query<PasswordOwner>(
    `select id as "adminId", password_hash as "passwordHash" from admins where email_canonical = $emailCanonical
      union all
     (select null, password_hash from registrations where email_canonical = $emailCanonical order by id desc limit 1)
      order by "adminId" nulls last limit 1`,
    { type: QueryTypes.SELECT, bind: { emailCanonical } },
  );
  return row ?? null;
}
