import { AUDIT_ROW, type Audit, type Cause } from '../../shared/audit/audit.js';
import type { KeyRing } from '../../shared/crypto/keys.js';
import { msFromNow } from '../../shared/database/clock.js';
import type { Database } from '../../shared/database/connect.js';
import type { Statement } from '../../shared/database/statements.js';
import { retryConflicts, type Transaction } from '../../shared/database/transaction.js';
import type { AdminRow, Session } from '../../shared/models/index.js';
import { networkOf } from '../rate-limits/networks.js';
import { issueAccessToken, type AccessTokenConfig } from './access-tokens.js';
import {
  deriveRefreshToken,
  hashRefreshToken,
  isRefreshToken,
  newRefreshNonce,
  recallRefreshToken,
} from './refresh-tokens.js';

/** A session's tokens, as the client gets them. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly accessExpiresMs: number;
  readonly refreshToken: string;
  /** Remaining lifetime of the session. */
  readonly refreshExpiresMs: number;
  readonly admin: AdminRow;
  readonly sessionId: number;
}

export interface SessionTokenDeps {
  readonly accessTokens: AccessTokenConfig;
  readonly refreshKeys: KeyRing;
  readonly sessionExpiresMs: number;
}

/** How many open sessions an admin has: a login ends those beyond the newest. */
const MAX_OPEN_SESSIONS = 1_000;
/** A login ends at most so many; more remain of a release without the limit, and of logins at the same time. */
const MAX_ENDED = 1_000;
const MAX_USER_AGENT_LENGTH = 256;
/** Grace period in which any exchanged refresh token still gets the session's tokens: several tabs refresh concurrently. */
const RETRY_WITHIN_MS = 10_000;
/** How many exchanges of the grace period are remembered; more than a client may make. */
const MAX_RECENT_ROTATIONS = 60;

export interface OpenSessionDeps extends SessionTokenDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** An admin, and the hash that its password was compared with. */
export interface AdminWithHash {
  readonly id: number;
  readonly passwordHash: string;
}

const NEXT_SESSION_ID: Statement = {
  name: 'next-session-id',
  text: `select nextval(pg_get_serial_sequence('sessions', 'id'))::int as id`,
};

/** The columns of an admin `a`, by their names in an `AdminRow`. */
export const ADMIN_COLUMNS = `a.id, a.email, a.email_canonical as "emailCanonical", a.pending_email as "pendingEmail", a.name,
       a.name_canonical as "nameCanonical", a.password_hash as "passwordHash", a.confirmed_at as "confirmedAt",
       a.operator_since as "operatorSince", a.created_at as "createdAt", a.updated_at as "updatedAt"`;

/**
 * The admin's row lock orders this after a change of the password that is under way, and the condition on the hash is then
 * checked anew. A later change ends the session.
 *
 * The new session is one of the newest. Concurrent logins don't see each other's sessions, so they may leave as many more as
 * there are of them: the next login ends these. Sessions that have expired count until they are deleted, so that the index
 * holds few. The other condition on `ended_at` is for a session that has been ended while the lock was awaited; it is written so
 * that the planner looks ids up in the primary key, never in the index of live sessions.
 */
const OPEN_SESSION: Statement = {
  name: 'open-session',
  text: `with admin as materialized (
  select * from admins where id = $1 and password_hash = $2 for no key update
), session as (
  insert into sessions (id, admin_id, refresh_nonce, refresh_hash, ip, network, user_agent, expires_at)
  select $3::int, id, $4::bytea, $5::bytea, $6::text, $7::text, $8::text, ${msFromNow('$9')} from admin
), excess as (
  update sessions set ended_at = now(), ended_reason = 'excess'
   where coalesce(ended_at, 'infinity') = 'infinity' and id = any (array(
     select id from sessions
      where admin_id between (select id from admin) and (select id from admin) and ended_at is null
      order by admin_id desc, id desc offset ${MAX_OPEN_SESSIONS - 1} limit ${MAX_ENDED}))
), event as (
  insert into audit_events (${AUDIT_ROW.columns.join(', ')})
  select $10::uuid, $11::text, $12::int, $13::int, $14::text, $15::text, $16::text, $17::jsonb from admin
)
select ${ADMIN_COLUMNS} from admin a`,
};

/**
 * Creates a session and its first tokens, ends those beyond {@link MAX_OPEN_SESSIONS}, and audits the login: all in one
 * statement, after another one for the session's id, which the refresh token contains. Resolves to `undefined` when the password
 * has been changed since it was compared: that has ended all of the admin's sessions.
 */
export async function openSession(
  deps: OpenSessionDeps,
  owner: AdminWithHash,
  cause: Cause,
): Promise<IssuedTokens | undefined> {
  const { statements } = deps.database;
  const [next] = await statements.run<{ id: number }>(NEXT_SESSION_ID, []);
  if (!next) throw new Error('A sequence has a next value');
  const nonce = newRefreshNonce();
  const refreshToken = deriveRefreshToken(deps.refreshKeys, { sessionId: next.id, nonce }, 0);
  const facts = { adminId: owner.id, sessionId: next.id };
  const event = deps.audit.event('authn_login_success', cause, facts);
  const [admin] = await retryConflicts(() =>
    statements.run<AdminRow>(OPEN_SESSION, [
      owner.id,
      owner.passwordHash,
      next.id,
      nonce,
      hashRefreshToken(refreshToken),
      cause.ip ?? null,
      networkOf(cause.ip),
      cause.userAgent?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
      deps.sessionExpiresMs,
      ...event.values,
    ]),
  );
  if (!admin) return undefined;
  event.committed();
  const refresh = { refreshToken, refreshExpiresMs: deps.sessionExpiresMs };
  return tokensOf(deps, { id: next.id, refreshGeneration: 0 }, admin, refresh);
}

/** True when the token is this session's refresh token of that generation, old or current. */
export function isTokenOf(
  { refreshKeys }: Pick<SessionTokenDeps, 'refreshKeys'>,
  session: Session,
  generation: number,
  token: string,
): boolean {
  return isRefreshToken(refreshKeys, sourceOf(session), generation, token);
}

/** A session while its admin's row is locked, and the time by PostgreSQL's clock. */
export interface LockedSession {
  readonly session: Session;
  readonly admin: AdminRow;
  readonly now: Date;
}

/** Issues the next generation of a session's tokens. */
export async function rotateTokens(
  deps: SessionTokenDeps,
  tx: Transaction,
  { session, admin, now }: LockedSession,
): Promise<IssuedTokens> {
  const refreshGeneration = session.refreshGeneration + 1;
  const refreshToken = deriveRefreshToken(deps.refreshKeys, sourceOf(session), refreshGeneration);
  await session.update(
    {
      refreshGeneration,
      refreshHash: hashRefreshToken(refreshToken),
      earlierRotations: rotationsOf(session)
        .filter((at) => isRecent(at, now))
        .slice(0, MAX_RECENT_ROTATIONS),
      rotatedAt: now,
      lastUsedAt: now,
    },
    { transaction: tx },
  );
  return tokensOf(deps, session, admin, {
    refreshToken,
    refreshExpiresMs: remainingMs(session, now),
  });
}

/**
 * The session's current tokens for an already exchanged refresh token, if its reuse is no sign of theft: either its
 * successor is unused, so the response may have been lost, or the exchange was within the grace period.
 */
export function repeatTokens(
  deps: SessionTokenDeps,
  { session, admin, now }: LockedSession,
  generation: number,
): IssuedTokens | undefined {
  const { refreshGeneration, refreshHash, usedGeneration } = session;
  const age = refreshGeneration - 1 - generation;
  const isParentOfUnused = age === 0 && usedGeneration < refreshGeneration;
  const exchangedAt = rotationsOf(session)[age];
  if (!isParentOfUnused && !(exchangedAt && isRecent(exchangedAt, now))) return undefined;
  const source = sourceOf(session);
  const current = recallRefreshToken(deps.refreshKeys, source, refreshGeneration, refreshHash);
  if (current === undefined) return undefined;
  return tokensOf(deps, session, admin, {
    refreshToken: current,
    refreshExpiresMs: remainingMs(session, now),
  });
}

function tokensOf(
  { accessTokens }: SessionTokenDeps,
  session: Pick<Session, 'id' | 'refreshGeneration'>,
  admin: AdminRow,
  refresh: Pick<IssuedTokens, 'refreshToken' | 'refreshExpiresMs'>,
): IssuedTokens {
  const claims = {
    adminId: admin.id,
    sessionId: session.id,
    generation: session.refreshGeneration,
  };
  return {
    accessToken: issueAccessToken(accessTokens, claims),
    accessExpiresMs: accessTokens.expiresMs,
    ...refresh,
    admin,
    sessionId: session.id,
  };
}

/** When the session's refresh tokens were exchanged, the newest first, as far as it is remembered. */
const rotationsOf = ({ rotatedAt, earlierRotations }: Session): Date[] =>
  rotatedAt === null ? [] : [rotatedAt, ...earlierRotations];

const isRecent = (at: Date, now: Date): boolean => now.getTime() - at.getTime() <= RETRY_WITHIN_MS;

const remainingMs = ({ expiresAt }: Session, now: Date): number =>
  expiresAt.getTime() - now.getTime();

const sourceOf = ({ id, refreshNonce }: Session) => ({ sessionId: id, nonce: refreshNonce });
