import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { Cause } from '../../../shared/audit/audit.js';
import { areEqualSecrets } from '../../../shared/crypto/equal-secrets.js';
import type { KeyRing, NamedKey } from '../../../shared/crypto/keys.js';
import { coalesce } from '../../../shared/database/coalesce.js';
import type { Database } from '../../../shared/database/connect.js';
import type { Statement } from '../../../shared/database/statements.js';
import { AppError } from '../../../shared/errors/app-error.js';
import type { EmailAddress } from '../../../shared/identity/email-address.js';
import type { RoleOf } from '../../admins/admins.service.js';
import { logIn, type LoginDeps } from '../../sessions/login.service.js';
import { revokeSession } from '../../sessions/sessions.service.js';
import type { ConsoleSession } from '../session.js';

export interface ConsoleSessionDeps extends LoginDeps {
  readonly roleOf: RoleOf;
  /** Canonical addresses with read-only access, operators or not. */
  readonly readonlyEmails: readonly string[];
  readonly formKeys: KeyRing;
  readonly findConsoleSession: FindConsoleSession;
}

/** A session ends after so long without a request; live updates are none. */
const IDLE_MINUTES = 30;
/** A session ends after so long in any case. */
const LIFETIME_MS = 12 * 3_600_000;
const TOKEN_BYTES = 32;
const MAX_PER_STATEMENT = 100;

interface SessionRow {
  readonly id: number;
  readonly adminId: number;
  readonly email: string;
  readonly emailCanonical: string;
  readonly name: string;
  readonly operatorSince: Date | null;
  /** True when its use has not been recorded for a minute. */
  readonly isStale: boolean;
}

/** The row of a live session by the hash of its token. Questions of one turn of the event loop share a statement. */
export type FindConsoleSession = (hash: Buffer) => Promise<SessionRow | undefined>;

const FIND: Statement = {
  name: 'find-console-session',
  text: `select s.id, a.id as "adminId", a.email, a.email_canonical as "emailCanonical", a.name,
       a.operator_since as "operatorSince", s.console_seen_at < now() - interval '1 minute' as "isStale"
  from unnest($1::bytea[]) with ordinality as asked (hash, place)
  left join lateral (select * from sessions where console_hash = asked.hash limit 1) s
    on s.ended_at is null and s.expires_at > now()
   and s.console_seen_at > now() - interval '${IDLE_MINUTES} minutes'
  left join lateral (select * from admins where id = s.admin_id limit 1) a on true
 order by asked.place`,
};

export function createFindConsoleSession({ statements }: Database): FindConsoleSession {
  const find = coalesce<Buffer, Partial<SessionRow>>(
    (hashes) => statements.run<SessionRow>(FIND, [hashes]),
    MAX_PER_STATEMENT,
  );
  return async (hash) => {
    const row = await find(hash);
    return typeof row.adminId === 'number' ? (row as SessionRow) : undefined;
  };
}

const USE: Statement = {
  name: 'use-console-session',
  text: `update sessions set console_seen_at = now(), last_used_at = now()
 where id = $1 and console_seen_at < now() - interval '1 minute'`,
};

/** How a session is asked for: by a request, which keeps it from being idle, or for the next live update. */
export type ConsoleUse = 'request' | 'update';

/**
 * The live session of a token, asked in PostgreSQL: `undefined` when it has ended, expired or been idle for half an hour, and
 * when its admin is no longer an operator, which ends it.
 */
export async function findSession(
  deps: ConsoleSessionDeps,
  token: string,
  use: ConsoleUse,
  cause: Cause,
): Promise<ConsoleSession | undefined> {
  const hash = hashOf(token);
  const row = await deps.findConsoleSession(hash);
  if (!row) return undefined;
  const access = accessOf(deps, row);
  if (access === 'none') {
    await endSession(deps, { id: row.id, admin: { id: row.adminId } }, cause);
    return undefined;
  }
  if (use === 'request' && row.isStale) await deps.database.statements.run(USE, [row.id]);
  return {
    id: row.id,
    admin: { id: row.adminId, email: row.email, name: row.name },
    isReadOnly: access === 'read-only',
    formToken: formTokenOf(deps.formKeys.current, row.id, hash),
  };
}

/** What an admin may do in the console; an address in the list of readers may only look, whatever its role. */
function accessOf(
  { roleOf, readonlyEmails }: ConsoleSessionDeps,
  admin: { readonly emailCanonical: string; readonly operatorSince: Date | null },
): 'none' | 'read-only' | 'all' {
  if (readonlyEmails.includes(admin.emailCanonical)) return 'read-only';
  return roleOf(admin) === 'operator' ? 'all' : 'none';
}

const REMEMBER: Statement = {
  name: 'open-console-session',
  text: 'update sessions set console_hash = $2, console_seen_at = now() where id = $1',
};

/**
 * Logs an operator in by e-mail and password, with the limits and the audit of every login; resolves to the session's token.
 * Its access and refresh tokens are never handed out.
 * @throws {AppError} as {@link logIn}; `not_operator` after the right password of any other admin, whose session is ended.
 */
export async function openSession(
  deps: ConsoleSessionDeps,
  email: EmailAddress,
  password: string,
  cause: Cause,
): Promise<{ readonly token: string; readonly adminId: number }> {
  const sessionExpiresMs = Math.min(deps.sessionExpiresMs, LIFETIME_MS);
  const { admin, sessionId } = await logIn({ ...deps, sessionExpiresMs }, email, password, cause);
  if (accessOf(deps, admin) === 'none') {
    await endSession(deps, { id: sessionId, admin }, cause);
    throw new AppError('not_operator');
  }
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  await deps.database.statements.run(REMEMBER, [sessionId, hashOf(token)]);
  return { token, adminId: admin.id };
}

/** Ends a session. One that has ended meanwhile is none to end. */
export async function endSession(
  deps: Pick<ConsoleSessionDeps, 'database' | 'audit'>,
  { id, admin }: { readonly id: number; readonly admin: { readonly id: number } },
  cause: Cause,
): Promise<void> {
  await revokeSession(deps, admin.id, id, cause).catch((error: unknown) => {
    if (!(error instanceof AppError && error.code === 'not_found')) throw error;
  });
}

const OPERATORS_EXIST: Statement = {
  name: 'operators-exist',
  text: 'select true as found from admins where operator_since is not null limit 1',
};

/** True when somebody could log in: an address is configured, or the role has been granted. */
export async function hasOperators(
  { database, readonlyEmails }: Pick<ConsoleSessionDeps, 'database' | 'readonlyEmails'>,
  operatorEmails: readonly string[],
): Promise<boolean> {
  if (operatorEmails.length + readonlyEmails.length > 0) return true;
  return (await database.statements.run(OPERATORS_EXIST, [])).length > 0;
}

/** True for the token of this session's forms, under the current or a previous key. */
export function isFormToken(
  { formKeys }: Pick<ConsoleSessionDeps, 'formKeys'>,
  sessionToken: string,
  { id }: Pick<ConsoleSession, 'id'>,
  claimed: string,
): boolean {
  const hash = hashOf(sessionToken);
  return formKeys.all.some((key) => areEqualSecrets(claimed, formTokenOf(key, id, hash)));
}

const formTokenOf = ({ key }: NamedKey, sessionId: number, hash: Buffer): string =>
  createHmac('sha256', key).update(`${sessionId}\0`).update(hash).digest('base64url');

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();
