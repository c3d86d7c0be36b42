import type { Cause } from '../../shared/audit/audit.js';
import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Transaction } from '../../shared/database/transaction.js';
import { Session, type Admin } from '../../shared/models/index.js';
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
  readonly admin: Admin;
  readonly sessionId: number;
}

export interface SessionTokenDeps {
  readonly accessTokens: AccessTokenConfig;
  readonly refreshKeys: KeyRing;
  readonly sessionExpiresMs: number;
}

const MAX_USER_AGENT_LENGTH = 256;
/** Grace period in which any exchanged refresh token still gets the session's tokens: several tabs refresh concurrently. */
const RETRY_WITHIN_MS = 10_000;
/** How many exchanges of the grace period are remembered; more than a client may make. */
const MAX_RECENT_ROTATIONS = 60;
/** A new row's refresh hash until its id, which the token contains, is known: no token has this hash. */
const NO_HASH = Buffer.alloc(0);

/** Creates a session and its first tokens. */
export async function openSession(
  deps: SessionTokenDeps,
  tx: Transaction,
  admin: Admin,
  { ip, userAgent }: Cause,
): Promise<IssuedTokens> {
  const session = await Session.create(
    {
      adminId: admin.id,
      refreshNonce: newRefreshNonce(),
      refreshHash: NO_HASH,
      ip: ip ?? null,
      network: networkOf(ip),
      userAgent: userAgent?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
      expiresAt: new Date(Date.now() + deps.sessionExpiresMs),
    },
    { transaction: tx },
  );
  const refreshToken = deriveRefreshToken(deps.refreshKeys, sourceOf(session), 0);
  await session.update({ refreshHash: hashRefreshToken(refreshToken) }, { transaction: tx });
  return tokensOf(deps, session, admin, refreshToken);
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

/** Issues the next generation of a session's tokens. The caller holds the session's row lock. */
export async function rotateTokens(
  deps: SessionTokenDeps,
  tx: Transaction,
  session: Session,
  admin: Admin,
): Promise<IssuedTokens> {
  const refreshGeneration = session.refreshGeneration + 1;
  const refreshToken = deriveRefreshToken(deps.refreshKeys, sourceOf(session), refreshGeneration);
  const now = new Date();
  await session.update(
    {
      refreshGeneration,
      refreshHash: hashRefreshToken(refreshToken),
      earlierRotations: rotationsOf(session).filter(isRecent).slice(0, MAX_RECENT_ROTATIONS),
      rotatedAt: now,
      lastUsedAt: now,
    },
    { transaction: tx },
  );
  return tokensOf(deps, session, admin, refreshToken);
}

/**
 * The session's current tokens for an already exchanged refresh token, if its reuse is no sign of theft: either its
 * successor is unused, so the response may have been lost, or the exchange was within the grace period.
 */
export function repeatTokens(
  deps: SessionTokenDeps,
  session: Session,
  admin: Admin,
  generation: number,
): IssuedTokens | undefined {
  const { refreshGeneration, refreshHash, usedGeneration } = session;
  const age = refreshGeneration - 1 - generation;
  const isParentOfUnused = age === 0 && usedGeneration < refreshGeneration;
  const exchangedAt = rotationsOf(session)[age];
  if (!isParentOfUnused && !(exchangedAt && isRecent(exchangedAt))) return undefined;
  const source = sourceOf(session);
  const current = recallRefreshToken(deps.refreshKeys, source, refreshGeneration, refreshHash);
  return current === undefined ? undefined : tokensOf(deps, session, admin, current);
}

function tokensOf(
  { accessTokens }: SessionTokenDeps,
  session: Session,
  admin: Admin,
  refreshToken: string,
): IssuedTokens {
  const claims = {
    adminId: admin.id,
    sessionId: session.id,
    generation: session.refreshGeneration,
  };
  return {
    accessToken: issueAccessToken(accessTokens, claims),
    accessExpiresMs: accessTokens.expiresMs,
    refreshToken,
    refreshExpiresMs: session.expiresAt.getTime() - Date.now(),
    admin,
    sessionId: session.id,
  };
}

/** When the session's refresh tokens were exchanged, the newest first, as far as it is remembered. */
const rotationsOf = ({ rotatedAt, earlierRotations }: Session): Date[] =>
  rotatedAt === null ? [] : [rotatedAt, ...earlierRotations];

const isRecent = (at: Date): boolean => Date.now() - at.getTime() <= RETRY_WITHIN_MS;

const sourceOf = ({ id, refreshNonce }: Session) => ({ sessionId: id, nonce: refreshNonce });
