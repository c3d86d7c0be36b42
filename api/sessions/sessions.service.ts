import { Op } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import { NOW } from '../../shared/database/clock.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { Session, type Principal, type SessionEnd } from '../../shared/models/index.js';
import { notifyAdmin, type AccountNoticeDeps } from '../admins/account-notices.js';
import { lockAdmin, type WhichAdmin } from '../admins/admin-lock.js';
import { readRefreshToken, type RefreshClaim } from './refresh-tokens.js';
import {
  isTokenOf,
  repeatTokens,
  rotateTokens,
  type IssuedTokens,
  type SessionTokenDeps,
} from './session-tokens.js';

export interface SessionDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** What refreshing needs: it issues tokens, and reports reuse by mail. */
export interface RefreshDeps extends SessionDeps, SessionTokenDeps, AccountNoticeDeps {}

const MAX_LISTED = 100;

/**
 * Exchanges a refresh token for new tokens (RFC 9700, 4.14.2: rotation with reuse detection). An exchanged token gets
 * the session's current tokens again while its successor is unused (neither exchanged, nor its access token
 * presented), and within ten seconds of its exchange in any case. Any other reuse counts as theft and ends the session;
 * the admin is notified by mail.
 * @throws {AppError} `invalid_refresh_token`.
 */
export async function refreshSession(
  deps: RefreshDeps,
  token: string,
  cause: Cause,
): Promise<IssuedTokens> {
  const claim = readRefreshToken(token);
  if (!claim) throw new AppError('invalid_refresh_token');
  // The transaction returns nothing instead of throwing: a session that ends by reuse must be committed.
  const issued = await withTransaction(deps.database, (tx) =>
    exchange(deps, tx, { ...claim, token }, cause),
  );
  if (!issued) throw new AppError('invalid_refresh_token');
  return issued;
}

async function exchange(
  deps: RefreshDeps,
  tx: Transaction,
  { sessionId, generation, token }: RefreshClaim & { readonly token: string },
  cause: Cause,
): Promise<IssuedTokens | undefined> {
  const where = { ...live, id: sessionId };
  const claimed = await Session.findOne({ where, transaction: tx });
  // A forged token must not lock any row.
  if (!claimed || !isTokenOf(deps, claimed, generation, token)) return undefined;
  const admin = await lockAdmin(tx, { id: claimed.adminId });
  const attributes = { include: [[NOW, 'now'] as [typeof NOW, string]] };
  const session = admin && (await Session.findOne({ where, attributes, transaction: tx }));
  if (!session) return undefined;
  const locked = { session, admin, now: session.get('now') as Date };
  if (generation === session.refreshGeneration) return rotateTokens(deps, tx, locked);
  const repeated = repeatTokens(deps, locked, generation);
  if (repeated) return repeated;
  await endSessions(tx, { id: session.id }, 'reuse');
  await notifyAdmin(deps, tx, admin, 'session_ended_by_reuse', cause);
  const facts = { adminId: admin.id, sessionId };
  await deps.audit.record('authn_token_reuse', cause, facts, tx);
  return undefined;
}

/** Ends the session of the caller: both of its tokens are revoked at once, on every instance. */
export async function logOut(
  { database, audit }: SessionDeps,
  { admin, sessionId }: Principal,
  cause: Cause,
): Promise<void> {
  await withTransaction(database, async (tx) => {
    await lockAdmin(tx, { id: admin.id });
    await endSessions(tx, { id: sessionId }, 'logout');
    await audit.record('authn_token_revoked', cause, { adminId: admin.id, sessionId }, tx);
  });
}

/** An admin's live sessions, the newest first, at most 100. */
export function listSessions(adminId: number): Promise<Session[]> {
  return Session.findAll({
    // A range, sorted by the admin too: the planner would read the newest sessions of all admins for one that it knows.
    where: { ...live, adminId: { [Op.between]: [adminId, adminId] } },
    order: [
      ['adminId', 'DESC'],
      ['id', 'DESC'],
    ],
    limit: MAX_LISTED,
  });
}

/** @throws {AppError} `not_found` when an admin has no such live session. */
export async function requireLiveSession(adminId: number, id: number): Promise<void> {
  if ((await Session.count({ where: { ...live, id, adminId } })) === 0)
    throw new AppError('not_found');
}

/** Ends one of an admin's live sessions. @throws {AppError} `not_found`. */
export async function revokeSession(
  { database, audit }: SessionDeps,
  adminId: number,
  sessionId: number,
  cause: Cause,
): Promise<void> {
  await withTransaction(database, async (tx) => {
    await lockAdmin(tx, { id: adminId });
    const count = await endSessions(tx, { id: sessionId, adminId }, 'revoked');
    if (count === 0) throw new AppError('not_found');
    await audit.record('authn_token_revoked', cause, { adminId, sessionId }, tx);
  });
}

/**
 * Logs an admin out everywhere; for operators. Audited even when there was no live session,
 * since an operator had a reason to do it.
 * @returns how many sessions ended.
 * @throws {AppError} `not_found` when there is no such admin.
 */
export async function logOutEverywhere(
  { database, audit }: SessionDeps,
  which: WhichAdmin,
  cause: Cause,
): Promise<number> {
  return withTransaction(database, async (tx) => {
    const admin = await lockAdmin(tx, which);
    if (!admin) throw new AppError('not_found');
    const count = await endSessions(tx, { adminId: admin.id }, 'revoked');
    const facts = { adminId: admin.id, details: { sessions: count } };
    await audit.record('authn_token_revoked', cause, facts, tx);
    return count;
  });
}

/** One session, one of an admin's, all of an admin's, or all but one. */
export type WhichSessions = { id: number; adminId?: number } | { adminId: number; except?: number };

/** Ends live sessions: their tokens are revoked at once, on every instance. Resolves to how many there were. */
export async function endSessions(
  tx: Transaction,
  which: WhichSessions,
  endedReason: SessionEnd,
): Promise<number> {
  const where =
    'except' in which ? { adminId: which.adminId, id: { [Op.ne]: which.except } } : { ...which };
  const [count] = await Session.update(
    { endedAt: NOW, endedReason },
    { where: { ...live, ...where }, transaction: tx },
  );
  return count;
}

/** The condition for a live session: neither ended nor expired. */
const live = { endedAt: null, expiresAt: { [Op.gt]: NOW } };
