import { createHmac, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { deriveKeyRing } from '../../shared/crypto/keys.js';
import { SECRET_KEY } from './env.js';

/** Anything that stands as JSON in a token: a library would have its doubts about most of it. */
type Json = object | string | number | null;

/** Makes access tokens as an attacker would, or as the service does. */
export interface TokenForge {
  /** The header of a good token. */
  readonly header: Readonly<Record<string, unknown>>;
  /** The claims of a good token. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The key that the service signs with. */
  readonly key: KeyObject;
  /** A token that is rightly signed, with these parts in place of the good ones; `undefined` takes one away. */
  signed(header: object, claims?: object): string;
  /** Header and claims as they are given, signed by HMAC with any secret. */
  withHmac(header: Json, claims: Json, secret: KeyObject | string, hash?: string): string;
}

/** A forge that starts from a token which the service itself has given out. */
export function createTokenForge(accessToken: string): TokenForge {
  const { id: kid, key } = deriveKeyRing(
    { current: SECRET_KEY, previous: [] },
    'access-token',
  ).current;
  const header = { alg: 'HS256', typ: 'at+jwt', kid };
  const claims = jwt.decode(accessToken) as Record<string, unknown>;
  const withHmac: TokenForge['withHmac'] = (anyHeader, anyClaims, secret, hash = 'sha256') => {
    const unsigned = `${encodePart(anyHeader)}.${encodePart(anyClaims)}`;
    return `${unsigned}.${createHmac(hash, secret).update(unsigned).digest('base64url')}`;
  };
  return {
    header,
    claims,
    key,
    withHmac,
    signed: (otherHeader, otherClaims = {}) =>
      withHmac({ ...header, ...otherHeader }, { ...claims, ...otherClaims }, key),
  };
}

/** One part of a token. */
export const encodePart = (value: Json): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
