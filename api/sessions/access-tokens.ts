import { randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import * as z from 'zod';
import type { KeyRing } from '../../shared/crypto/keys.js';

/** Who an access token says that its bearer is. Whether the session still lives is for the database to say. */
export interface AccessClaims {
  readonly adminId: number;
  readonly sessionId: number;
  /** Generation of the refresh token that it was issued with. */
  readonly generation: number;
}

/** How access tokens are made. */
export interface AccessTokenConfig {
  /** Issuer and audience: this service, by its public address. */
  readonly publicUrl: string;
  readonly expiresMs: number;
}

/** Issues and reads access tokens: signed JWTs, `typ: at+jwt` (RFC 9068), HS256. */
export interface AccessTokens {
  issue(claims: AccessClaims): string;
  /** The claims of a good token; `undefined` for anything else. */
  readHeaderAndClaims(header: unknown, claims: unknown): AccessClaims | undefined;
  readonly keys: KeyRing;
  readonly issuer: string;
  readonly audience: string;
}

/** Clocks of two hosts may differ by this much. */
export const CLOCK_TOLERANCE_SECONDS = 5;

/** Exactly the header that we write: a token with `crit`, `jku`, or another type is not ours. */
const Header = z.strictObject({
  alg: z.literal('HS256'),
  typ: z.literal('at+jwt'),
  kid: z.string(),
});

/** Every claim is required: jsonwebtoken by itself would accept a token without `exp` (RFC 8725, 3.8 to 3.12). */
const Claims = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  sub: z
    .string()
    .regex(/^[1-9]\d{0,9}$/)
    .transform(Number),
  sid: z.int().positive(),
  gen: z.int().nonnegative(),
  jti: z.uuid(),
  iat: z.int(),
  nbf: z.int(),
  exp: z.int(),
});

/** Access tokens of one service: see {@link AccessTokens}. */
export function createAccessTokens(
  keys: KeyRing,
  { publicUrl, expiresMs }: AccessTokenConfig,
): AccessTokens {
  const lifeSeconds = Math.floor(expiresMs / 1_000);
  const issuer = publicUrl;
  const audience = `${publicUrl}/`;
  return {
    keys,
    issuer,
    audience,
    issue({ adminId, sessionId, generation }) {
      const iat = Math.floor(Date.now() / 1_000);
      const claims: z.input<typeof Claims> = {
        iss: issuer,
        aud: audience,
        sub: String(adminId),
        sid: sessionId,
        gen: generation,
        jti: randomUUID(),
        iat,
        nbf: iat,
        exp: iat + lifeSeconds,
      };
      const { id: kid, key } = keys.current;
      return jwt.sign(claims, key, {
        algorithm: 'HS256',
        header: { alg: 'HS256', typ: 'at+jwt', kid },
      });
    },
    readHeaderAndClaims(header, claims) {
      const parsed = Claims.safeParse(claims);
      if (!Header.safeParse(header).success || !parsed.success) return undefined;
      const { sub, sid, gen, iat, exp } = parsed.data;
      const isFromTheFuture = iat > Date.now() / 1_000 + CLOCK_TOLERANCE_SECONDS;
      const livesTooLong = exp - iat > lifeSeconds;
      if (isFromTheFuture || livesTooLong) return undefined;
      return { adminId: sub, sessionId: sid, generation: gen };
    },
  };
}
