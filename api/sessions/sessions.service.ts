import { Op } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { Admin, Session, type Principal } from '../../shared/models/index.js';
import type { AccountNotices } from '../admins/account-notices.js';
import type { AccessClaims } from './access-tokens.js';
import { lockAdmin } from '../admins/admin-lock.js';
import { readRefreshToken } from './refresh-tokens.js';
import { endSessions, live } from './session-end.js';
import type { IssuedTokens, SessionTokens } from './session-tokens.js';

/** What sessions are made of. */
export interface SessionDeps {
  readonly database: Database;
  readonly tokens: SessionTokens;
  readonly notices: AccountNotices;
  readonly audit: Audit;
}

/** Being logged in, and logging out. */
export type SessionService = ReturnType<typeof createSessionService>;

const MAX_LISTED = 100;

export function createSessionService(deps: SessionDeps) {
  const { database, tokens, notices, audit } = deps;

  /**
   * Exchanges a refresh token for new tokens (RFC 9700, 4.14.2: rotation with reuse detection). An exchanged token gets
   * the session's current tokens again while its successor is unused (neither exchanged, nor its access token
   * presented), and within ten seconds of its exchange in any case. Any other second use is taken for theft and ends
   * the session; its admin is told by mail.
   * @throws {AppError} `invalid_refresh_token`.
   */
  async function refresh(token: string, cause: Cause): Promise<IssuedTokens> {
    const claim = readRefreshToken(token);
    if (!claim) throw new AppError('invalid_refresh_token');
    const issued = await withTransaction(database, async (tx) => {
      const where = { ...live(), id: claim.sessionId };
      const claimed = await Session.findOne({ where, transaction: tx });
      // Nothing is locked for somebody who has made a token up.
      if (!claimed || !tokens.isOf(claimed, claim.generation, token)) return undefined;
      const admin = await lockAdmin(tx, { id: claimed.adminId });
      const session = admin && (await Session.findOne({ where, transaction: tx }));
      if (!session) return undefined;
      if (claim.generation === session.refreshGeneration) return tokens.rotate(tx, session, admin);
      const again = tokens.repeat(session, admin, claim.generation);
      // Returned, not thrown: the end of the session must be committed.
      if (!again) {
        await endSessions({ id: session.id }, 'reuse', tx);
        await notices.tell(tx, admin, 'session_ended_by_reuse', cause);
        const facts = { adminId: admin.id, sessionId: session.id };
        await audit.record('authn_token_reuse', cause, facts, tx);
      }
      return again;
    });
    if (!issued) throw new AppError('invalid_refresh_token');
    return issued;
  }

  /**
   * Who asks, if the session that the claims name is live and its admin is still there. The first use of a
   * generation's access token is recorded before anything is done: from then on its refresh token is known to have
   * arrived, and the one before it is old.
   */
  async function authenticate(claims: AccessClaims): Promise<Principal | undefined> {
    const { adminId, sessionId, generation } = claims;
    const session = await Session.findOne({
      where: { ...live(), id: sessionId, adminId },
      include: { model: Admin, required: true },
    });
    if (!session?.admin) return undefined;
    if (session.usedGeneration < generation) await markUsed(sessionId, generation);
    return { admin: session.admin, sessionId };
  }

  /** Of several first uses at once the newest generation stays. */
  async function markUsed(id: number, usedGeneration: number): Promise<void> {
    await Session.update(
      { usedGeneration },
      { where: { id, usedGeneration: { [Op.lt]: usedGeneration } } },
    );
  }

  /** Ends a session: both of its tokens are dead at once, on every instance. */
  async function logOut({ admin, sessionId }: Principal, cause: Cause): Promise<void> {
    await withTransaction(database, async (tx) => {
      await lockAdmin(tx, { id: admin.id });
      await endSessions({ id: sessionId }, 'logout', tx);
      await audit.record('authn_token_revoked', cause, { adminId: admin.id, sessionId }, tx);
    });
  }

  /** An admin's live sessions, the newest first. */
  function list(adminId: number): Promise<Session[]> {
    return Session.findAll({
      where: { ...live(), adminId },
      order: [['id', 'DESC']],
      limit: MAX_LISTED,
    });
  }

  /** Ends one of an admin's live sessions. @throws {AppError} `not_found`. */
  async function revoke(adminId: number, sessionId: number, cause: Cause): Promise<void> {
    await withTransaction(database, async (tx) => {
      await lockAdmin(tx, { id: adminId });
      const count = await endSessions({ id: sessionId, adminId }, 'revoked', tx);
      if (count === 0) throw new AppError('not_found');
      await audit.record('authn_token_revoked', cause, { adminId, sessionId }, tx);
    });
  }

  return { refresh, authenticate, logOut, list, revoke };
}
