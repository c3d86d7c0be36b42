import { Op } from 'sequelize';
import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin, Session } from '../../shared/models/index.js';
import type { AccessClaims, AccessTokens } from './access-tokens.js';
import type { Passwords } from './passwords.js';
import { deriveRefreshToken, hashRefreshToken, newRefreshNonce } from './refresh-tokens.js';

/** Where a login comes from; shown to the admin in the list of sessions. */
export interface Origin {
  readonly ip: string | undefined;
  readonly userAgent: string | undefined;
}

/** A fresh session's tokens; each given out once. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly accessExpiresMs: number;
  readonly refreshToken: string;
  readonly refreshExpiresMs: number;
  readonly admin: Admin;
}

/** The admin who asks, and by which session. */
export interface Principal {
  readonly admin: Admin;
  readonly sessionId: number;
}

/** What sessions are made of. */
export interface SessionDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly accessTokens: AccessTokens;
  readonly refreshKeys: KeyRing;
  readonly accessExpiresMs: number;
  readonly sessionExpiresMs: number;
}

/** Logging in, being logged in, and logging out. */
export type SessionService = ReturnType<typeof createSessionService>;

const MAX_USER_AGENT_LENGTH = 256;
/** What a new row's refresh hash holds until its id, which the token names, is known: nothing hashes to it. */
const NO_HASH = Buffer.alloc(0);

export function createSessionService(deps: SessionDeps) {
  const { database, passwords, accessTokens, refreshKeys, accessExpiresMs, sessionExpiresMs } =
    deps;

  /**
   * Opens a session. An unknown address costs as much work as a known one and gets the same answer.
   * @throws {AppError} `invalid_credentials`; `email_not_confirmed`, but only after a right password.
   */
  async function logIn(
    email: EmailAddress,
    password: string,
    origin: Origin,
  ): Promise<IssuedTokens> {
    const admin = await Admin.findOne({ where: { emailCanonical: email.canonical } });
    const matches = await passwords.verify(password, admin?.passwordHash);
    if (!admin || !matches) throw new AppError('invalid_credentials');
    if (admin.confirmedAt === null) throw new AppError('email_not_confirmed');
    return open(admin, origin);
  }

  /** Who asks, if the session that the claims name is live and its admin is still there. */
  async function authenticate({
    adminId,
    sessionId,
  }: AccessClaims): Promise<Principal | undefined> {
    const session = await Session.findOne({
      where: { id: sessionId, adminId, endedAt: null, expiresAt: { [Op.gt]: new Date() } },
      include: { model: Admin, required: true },
    });
    return session?.admin ? { admin: session.admin, sessionId } : undefined;
  }

  /** Ends a session: both of its tokens are dead at once, on every instance. */
  async function logOut(sessionId: number): Promise<void> {
    await Session.update({ endedAt: new Date() }, { where: { id: sessionId, endedAt: null } });
  }

  async function open(admin: Admin, { ip, userAgent }: Origin): Promise<IssuedTokens> {
    const nonce = newRefreshNonce();
    return withTransaction(database, async (tx) => {
      const session = await Session.create(
        {
          adminId: admin.id,
          refreshNonce: nonce,
          refreshHash: NO_HASH,
          ip: ip ?? null,
          userAgent: userAgent?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
          expiresAt: new Date(Date.now() + sessionExpiresMs),
        },
        { transaction: tx },
      );
      const refreshToken = deriveRefreshToken(refreshKeys, {
        sessionId: session.id,
        generation: 0,
        nonce,
      });
      await session.update({ refreshHash: hashRefreshToken(refreshToken) }, { transaction: tx });
      return {
        accessToken: accessTokens.issue({ adminId: admin.id, sessionId: session.id }),
        accessExpiresMs,
        refreshToken,
        refreshExpiresMs: sessionExpiresMs,
        admin,
      };
    });
  }

  return { logIn, authenticate, logOut };
}
