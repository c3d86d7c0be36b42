import { createHash, createHmac, randomBytes } from 'node:crypto';
import { areEqualSecrets } from '../../shared/crypto/equal-secrets.js';
import type { KeyRing, NamedKey } from '../../shared/crypto/keys.js';
import { MAX_ID } from '../../shared/database/ids.js';

/** The part of a session from which its refresh tokens are derived. */
export interface RefreshSource {
  readonly sessionId: number;
  /** Random, so that no other session derives the same tokens. */
  readonly nonce: Buffer;
}

/** What a refresh token claims; unverified. */
export interface RefreshClaim {
  readonly sessionId: number;
  readonly generation: number;
}

const TOKEN = /^rt_([1-9]\d{0,9})_(0|[1-9]\d{0,8})_[A-Za-z0-9_-]{43}$/;

export const newRefreshNonce = (): Buffer => randomBytes(16);

/** The digest of a refresh token that the database stores. */
export const hashRefreshToken = (token: string): Buffer =>
  createHash('sha256').update(token).digest();

/** Reads what a token claims; `undefined` if it is malformed. */
export function readRefreshToken(token: string): RefreshClaim | undefined {
  const [, sessionId, generation] = TOKEN.exec(token) ?? [];
  const claim = { sessionId: Number(sessionId), generation: Number(generation) };
  return sessionId === undefined || claim.sessionId > MAX_ID ? undefined : claim;
}

/**
 * A session's refresh token of one generation: opaque, 256 bits. Derived from the keys and the session alone, so that a
 * lost response can be repeated although the token was never stored.
 */
export function deriveRefreshToken(
  { current }: KeyRing,
  source: RefreshSource,
  generation: number,
): string {
  return derive(current, source, generation);
}

/** Derives the token of a generation whose hash is known again, with the key that it was made with. */
export function recallRefreshToken(
  keys: KeyRing,
  source: RefreshSource,
  generation: number,
  hash: Buffer,
): string | undefined {
  return keys.all
    .map((key) => derive(key, source, generation))
    .find((token) => areEqualSecrets(hashRefreshToken(token), hash));
}

/** True when the token was derived from this session and one of the keys. Takes constant time. */
export function isRefreshToken(
  keys: KeyRing,
  source: RefreshSource,
  generation: number,
  token: string,
): boolean {
  const hash = hashRefreshToken(token);
  return keys.all.some((key) =>
    areEqualSecrets(hashRefreshToken(derive(key, source, generation)), hash),
  );
}

function derive(
  { key }: NamedKey,
  { sessionId, nonce }: RefreshSource,
  generation: number,
): string {
  const secret = createHmac('sha256', key)
    .update(`${sessionId}.${generation}.`)
    .update(nonce)
    .digest();
  return `rt_${sessionId}_${generation}_${secret.toString('base64url')}`;
}
