import { randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import * as z from 'zod';
import type { KeyRing } from '../../shared/crypto/keys.js';
import { MAX_ID } from '../../shared/database/ids.js';

/** How access tokens are signed: JWTs, `typ: at+jwt` (RFC 9068), HS256. */
export interface AccessTokenConfig {
  readonly keys: KeyRing;
  /** This service, by its public address. */
  readonly issuer: string;
  readonly audience: string;
  readonly expiresMs: number;
}

/** What an access token claims. Whether the session is still live, only the database knows. */
export interface AccessClaims {
  readonly adminId: number;
  readonly sessionId: number;
  /** Generation of the refresh token that it was issued with. */
  readonly generation: number;
}

/** The claims of a verified token. */
export interface VerifiedClaims extends AccessClaims {
  readonly expiresAtMs: number;
}

/** The clock of the host that issued a token may be ahead by this much. None is accepted past its expiry. */
const CLOCK_TOLERANCE_SECONDS = 5;

/** Exactly the header that this service writes: a token with `crit`, `jku`, or another type is rejected. */
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
    .transform(Number)
    .refine((id) => id <= MAX_ID),
  sid: z.int().positive().max(MAX_ID),
  gen: z.int().nonnegative().max(MAX_ID),
  jti: z.uuid(),
  iat: z.int(),
  nbf: z.int(),
  exp: z.int(),
});

/** The issuer and audience of a service at a public address, with the keys to sign and verify by. */
export const accessTokenConfig = (
  keys: KeyRing,
  publicUrl: string,
  expiresMs: number,
): AccessTokenConfig => ({ keys, issuer: publicUrl, audience: `${publicUrl}/`, expiresMs });

/** A signed token, valid from now on. */
export function issueAccessToken(
  config: AccessTokenConfig,
  { adminId, sessionId, generation }: AccessClaims,
): string {
  const iat = Math.floor(Date.now() / 1_000);
  const claims: z.input<typeof Claims> = {
    iss: config.issuer,
    aud: config.audience,
    sub: String(adminId),
    sid: sessionId,
    gen: generation,
    jti: randomUUID(),
    iat,
    nbf: iat,
    exp: iat + lifetimeSeconds(config),
  };
  const { id: kid, key } = config.keys.current;
  return jwt.sign(claims, key, {
    algorithm: 'HS256',
    header: { alg: 'HS256', typ: 'at+jwt', kid },
  });
}

/** The claims of a token whose signature, issuer, audience and expiry are verified; `undefined` if the rest is not valid. */
export function readAccessClaims(
  config: AccessTokenConfig,
  token: { readonly header?: unknown; readonly payload?: unknown },
): VerifiedClaims | undefined {
  const parsed = Claims.safeParse(token.payload);
  if (!Header.safeParse(token.header).success || !parsed.success) return undefined;
  const { sub, sid, gen, iat, exp } = parsed.data;
  const isFromTheFuture = iat > Date.now() / 1_000 + CLOCK_TOLERANCE_SECONDS;
  const livesTooLong = exp - iat > lifetimeSeconds(config);
  if (isFromTheFuture || livesTooLong) return undefined;
  return { adminId: sub, sessionId: sid, generation: gen, expiresAtMs: exp * 1_000 };
}

const lifetimeSeconds = ({ expiresMs }: AccessTokenConfig): number => Math.floor(expiresMs / 1_000);
