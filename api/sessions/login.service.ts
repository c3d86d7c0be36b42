import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import type { Statement } from '../../shared/database/statements.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import type { PasswordAttempt, PasswordAttemptLimiter } from '../passwords/password-attempts.js';
import type { Passwords } from '../passwords/passwords.js';
import { networkOf } from '../rate-limits/networks.js';
import {
  openSession,
  type IssuedTokens,
  type OpenSessionDeps,
  type AdminWithHash,
} from './session-tokens.js';

export interface LoginDeps extends OpenSessionDeps {
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
    const current = await rehashIfOutdated(deps, admin, password);
    const issued = current && (await openSession(deps, current, cause));
    if (issued) return issued;
  }
  throw new AppError('invalid_credentials');
}

/**
 * Stores a new hash if the pepper or work factor has changed. Resolves to `undefined` when the password has been changed
 * since it was compared.
 */
async function rehashIfOutdated(
  { database, passwords }: LoginDeps,
  admin: AdminWithHash,
  password: string,
): Promise<AdminWithHash | undefined> {
  if (!passwords.isOutdated(admin.passwordHash)) return admin;
  const passwordHash = await passwords.hash(password);
  const values = [admin.id, admin.passwordHash, passwordHash];
  const [updated] = await database.statements.run<{ id: number }>(REHASH, values);
  return updated && { id: admin.id, passwordHash };
}

/** Does not change `updated_at`: the account is the same to its admin. */
const REHASH: Statement = {
  name: 'rehash-password',
  text: 'update admins set password_hash = $3 where id = $1 and password_hash = $2 returning id',
};

/**
 * The admin, if the password is its own. Every failure is counted and audited, and so is the first refused attempt. The
 * password of a registration is a failure too: who registers an address anew for each guess at its account must not guess
 * more often.
 * @throws {AppError} `email_not_confirmed` for the password of the registration. For confirmed addresses too: registering an
 *   address and trying that password must not reveal which addresses they are.
 */
async function checkPassword(
  { database, passwords, passwordAttempts, audit }: LoginDeps,
  email: EmailAddress,
  password: string,
  cause: Cause,
): Promise<AdminWithHash | undefined> {
  const audited: { adminId?: number | undefined } = {};
  let found: Promise<Account> | undefined;
  const find = async (): Promise<Account> => {
    const account = await (found ??= findAccount(database, email, cause.ip));
    audited.adminId = account.admin?.id;
    return account;
  };
  const onLock: PasswordAttempt['onLock'] = async (details) => {
    await find();
    await audit.record('authn_login_lock', cause, { ...audited, details });
  };
  const isKnownNetwork = async (): Promise<boolean> => (await find()).isKnownNetwork;
  const within = { isKnownNetwork };
  const attempt = { emailCanonical: email.canonical, ip: cause.ip, within, onLock };
  let isOfRegistration = false;
  const compare = async (): Promise<AdminWithHash | undefined> => {
    const { admin, registration } = await find();
    const match = await passwords.verify(password, () => Promise.resolve(admin));
    if (match) return match;
    const registered = await passwords.verify(password, () => Promise.resolve(registration));
    isOfRegistration = registered !== undefined;
    return undefined;
  };
  const client = { ip: cause.ip, isKnownNetwork };
  const match = await passwords.reserve(() => passwordAttempts.attempt(attempt, compare), client);
  if (match) return match;
  await audit.record('authn_login_fail', cause, audited);
  if (isOfRegistration) throw new AppError('email_not_confirmed');
  return undefined;
}

/** What is stored of an address. */
interface Account {
  readonly admin: AdminWithHash | null;
  /** The newest unconfirmed registration of the address. */
  readonly registration: { readonly passwordHash: string } | null;
  /**
   * True when the admin has logged in from the client's network, or followed a mailed link there. Attempts by strangers don't
   * lock such networks out.
   */
  readonly isKnownNetwork: boolean;
}

/** `limit 1` where `exists` would do: the planner could make one hash table of all rows out of that, to be used for one admin. */
const FIND_ACCOUNT: Statement = {
  name: 'find-account',
  text: `select a.id, a.password_hash as "passwordHash", r.password_hash as "registeredHash",
       coalesce((select true from sessions s where s.admin_id = a.id and s.network = $2 limit 1),
                (select true from confirmations c where c.email_canonical = a.email_canonical
                   and c.admin_id = a.id and c.network = $2 limit 1),
                false) as "isKnownNetwork"
  from (select $1::text as canonical) asked
  left join admins a on a.email_canonical = asked.canonical
  left join lateral (select password_hash from registrations
                      where email_canonical = asked.canonical order by id desc limit 1) r on true`,
};

async function findAccount(
  { statements }: Database,
  { canonical }: EmailAddress,
  ip: string | undefined,
): Promise<Account> {
  const [row] = await statements.run<{
    id: number | null;
    passwordHash: string | null;
    registeredHash: string | null;
    isKnownNetwork: boolean;
  }>(FIND_ACCOUNT, [canonical, networkOf(ip)]);
  const { id = null, passwordHash = null, registeredHash = null } = row ?? {};
  return {
    admin: id === null || passwordHash === null ? null : { id, passwordHash },
    registration: registeredHash === null ? null : { passwordHash: registeredHash },
    isKnownNetwork: row?.isKnownNetwork ?? false,
  };
}
