import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { KeyRing } from '../../shared/crypto/keys.js';

/** The part of a session that its refresh tokens are derived from. */
export interface RefreshSource {
  readonly sessionId: number;
  readonly generation: number;
  readonly nonce: Buffer;
}

/** A nonce that makes one session's refresh tokens its own. */
export const newRefreshNonce = (): Buffer => randomBytes(16);

/**
 * A session's refresh token of one generation: opaque, 256 bits, derived, so that a lost answer can be given again
 * without the token ever having been stored.
 */
export function deriveRefreshToken(
  { current }: KeyRing,
  { sessionId, generation, nonce }: RefreshSource,
): string {
  const secret = createHmac('sha256', current.key)
    .update(`${sessionId}.${generation}.`)
    .update(nonce)
    .digest();
  return `rt_${sessionId}_${generation}_${secret.toString('base64url')}`;
}

/** What the database keeps of a refresh token. */
export const hashRefreshToken = (token: string): Buffer =>
  createHash('sha256').update(token).digest();
