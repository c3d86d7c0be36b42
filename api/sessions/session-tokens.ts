import type { Cause } from '../../shared/audit/audit.js';
import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Transaction } from '../../shared/database/transaction.js';
import { Session, type Admin } from '../../shared/models/index.js';
import { networkOf } from '../throttling/networks.js';
import type { AccessTokens } from './access-tokens.js';
import {
  deriveRefreshToken,
  hashRefreshToken,
  isRefreshToken,
  newRefreshNonce,
  recallRefreshToken,
} from './refresh-tokens.js';

/** A session's tokens, as they are given out. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly accessExpiresMs: number;
  readonly refreshToken: string;
  /** What is left of the session. */
  readonly refreshExpiresMs: number;
  readonly admin: Admin;
  readonly sessionId: number;
}

/** What a session's tokens are made of. */
export interface SessionTokensDeps {
  readonly accessTokens: AccessTokens;
  readonly refreshKeys: KeyRing;
  readonly accessExpiresMs: number;
  readonly sessionExpiresMs: number;
}

/** Opens sessions and gives out their tokens; knows nothing of passwords or requests. */
export type SessionTokens = ReturnType<typeof createSessionTokens>;

const MAX_USER_AGENT_LENGTH = 256;
/** How long any exchanged refresh token still gets the session's tokens: several tabs refresh side by side. */
const RETRY_WITHIN_MS = 10_000;
/** Of how many exchanges within that time it is known when they were; more than a client may make. */
const MAX_RECENT_ROTATIONS = 60;
/** What a new row's refresh hash holds until its id, which the token names, is known: nothing hashes to it. */
const NO_HASH = Buffer.alloc(0);

export function createSessionTokens(deps: SessionTokensDeps) {
  const { accessTokens, refreshKeys, accessExpiresMs, sessionExpiresMs } = deps;

  /** A new session with its first tokens. */
  async function open(
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
        expiresAt: new Date(Date.now() + sessionExpiresMs),
      },
      { transaction: tx },
    );
    const refreshToken = deriveRefreshToken(refreshKeys, sourceOf(session), 0);
    await session.update({ refreshHash: hashRefreshToken(refreshToken) }, { transaction: tx });
    return issue(session, admin, refreshToken);
  }

  /** True when the token is this session's of that generation, old or current. */
  function isOf(session: Session, generation: number, token: string): boolean {
    return isRefreshToken(refreshKeys, sourceOf(session), generation, token);
  }

  /** The next generation of a session's tokens. The caller holds the session's row. */
  async function rotate(tx: Transaction, session: Session, admin: Admin): Promise<IssuedTokens> {
    const refreshGeneration = session.refreshGeneration + 1;
    const refreshToken = deriveRefreshToken(refreshKeys, sourceOf(session), refreshGeneration);
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
    return issue(session, admin, refreshToken);
  }

  /**
   * The session's current tokens for an exchanged refresh token, if it is no sign of theft that it is presented again:
   * nobody has used what it was exchanged for, so the answer may have been lost, or the exchange was a moment ago.
   */
  function repeat(session: Session, admin: Admin, generation: number): IssuedTokens | undefined {
    const { refreshGeneration, refreshHash, usedGeneration } = session;
    const age = refreshGeneration - 1 - generation;
    const isParentOfUnused = age === 0 && usedGeneration < refreshGeneration;
    const exchangedAt = rotationsOf(session)[age];
    if (!isParentOfUnused && !(exchangedAt && isRecent(exchangedAt))) return undefined;
    const current = recallRefreshToken(
      refreshKeys,
      sourceOf(session),
      refreshGeneration,
      refreshHash,
    );
    return current === undefined ? undefined : issue(session, admin, current);
  }

  function issue(session: Session, admin: Admin, refreshToken: string): IssuedTokens {
    return {
      accessToken: accessTokens.issue({
        adminId: admin.id,
        sessionId: session.id,
        generation: session.refreshGeneration,
      }),
      accessExpiresMs,
      refreshToken,
      refreshExpiresMs: session.expiresAt.getTime() - Date.now(),
      admin,
      sessionId: session.id,
    };
  }

  return { open, isOf, rotate, repeat };
}

/** When the session's refresh tokens were exchanged, the newest first, as far as that is still known. */
const rotationsOf = ({ rotatedAt, earlierRotations }: Session): Date[] =>
  rotatedAt === null ? [] : [rotatedAt, ...earlierRotations];

const isRecent = (at: Date): boolean => Date.now() - at.getTime() <= RETRY_WITHIN_MS;

const sourceOf = ({ id, refreshNonce }: Session) => ({ sessionId: id, nonce: refreshNonce });
