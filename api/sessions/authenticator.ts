import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import jwt from 'jsonwebtoken';
import passport from 'passport';
import { Strategy } from 'passport-jwt';
import { readAccessClaims, type AccessTokenConfig, type VerifiedClaims } from './access-tokens.js';
import { createVerifiedTokens } from './verified-tokens.js';

/** Anchored: `Bearer a b` is not a token. The scheme is case-insensitive (RFC 9110, 11.1). */
const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;
/** As every client writes it. */
const USUAL_SCHEME = 'Bearer ';
const MAX_TOKEN_LENGTH = 4_096;

/** Verifies the access tokens of requests: signature, header and claims, but not the session. */
export interface Authenticator {
  /** The claims of a valid token; `undefined` for a missing, forged or expired one. */
  claimsOf(req: Request, res: Response): Promise<VerifiedClaims | undefined>;
  /** The claims of a token that has been verified before; `undefined` says nothing about the token. */
  knownClaimsOf(req: IncomingMessage): VerifiedClaims | undefined;
}

/** Each token is verified once and remembered until it expires. */
export function createAuthenticator(accessTokens: AccessTokenConfig): Authenticator {
  const verified = createVerifiedTokens();
  const authenticator = new passport.Passport();
  authenticator.use('access-token', createStrategy(accessTokens));

  const verify = (req: Request, res: Response): Promise<VerifiedClaims | undefined> =>
    new Promise((resolve, reject) => {
      const onVerdict = (error: Error | null, claims: VerifiedClaims | false | undefined): void =>
        error ? reject(error) : resolve(claims === false ? undefined : claims);
      const middleware: unknown = authenticator.authenticate(
        'access-token',
        { session: false },
        onVerdict,
      );
      (middleware as RequestHandler)(req, res, reject);
    });

  return {
    knownClaimsOf({ headers: { authorization } }) {
      return authorization?.startsWith(USUAL_SCHEME)
        ? verified.find(authorization.slice(USUAL_SCHEME.length))
        : undefined;
    },
    async claimsOf(req, res) {
      const known = this.knownClaimsOf(req);
      if (known) return known;
      const claims = await verify(req, res);
      const token = bearerToken(req);
      if (claims && token !== null) verified.add(token, claims);
      return claims;
    },
  };
}

function createStrategy(accessTokens: AccessTokenConfig): Strategy {
  const keys = new Map(accessTokens.keys.all.map(({ id, key }) => [id, key]));
  return new Strategy(
    {
      jwtFromRequest: bearerToken,
      secretOrKeyProvider: (_req, token: string, done) => {
        const key = keys.get(keyIdOf(token));
        // passport-jwt's types accept only strings; a KeyObject is what makes jsonwebtoken fast.
        if (key) done(null, key as unknown as string);
        else done(new Error('unknown key'));
      },
      issuer: accessTokens.issuer,
      audience: accessTokens.audience,
      algorithms: ['HS256'],
      // The only way to pass it to jsonwebtoken.
      // oxlint-disable-next-line typescript/no-deprecated
      jsonWebTokenOptions: { complete: true },
    },
    (token: { header?: unknown; payload?: unknown }, done) =>
      done(null, readAccessClaims(accessTokens, token) ?? false),
  );
}

/** The id of the key that the token claims to be signed with; empty if it has none. */
function keyIdOf(token: string): string {
  try {
    return jwt.decode(token, { complete: true })?.header.kid ?? '';
  } catch {
    // A client can send a header of type JWT with claims that are not JSON.
    return '';
  }
}

function bearerToken({ headers: { authorization = '' } }: IncomingMessage): string | null {
  return authorization.length > MAX_TOKEN_LENGTH ? null : (BEARER.exec(authorization)?.[1] ?? null);
}
