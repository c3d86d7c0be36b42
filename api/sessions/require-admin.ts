import type { Request, RequestHandler } from 'express';
import jwt from 'jsonwebtoken';
import passport from 'passport';
import { Strategy } from 'passport-jwt';
import { AppError } from '../../shared/errors/app-error.js';
import type { Principal } from '../../shared/models/index.js';
import { BEARER_CHALLENGE } from '../http/problem.js';
import { contextOf } from '../http/request-context.js';
import {
  CLOCK_TOLERANCE_SECONDS,
  readAccessClaims,
  type AccessTokenConfig,
} from './access-tokens.js';
import { authenticate } from './sessions.service.js';

/** Anchored: `Bearer a b` is not a token. The scheme is case-insensitive (RFC 9110, 11.1). */
const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;
const MAX_TOKEN_LENGTH = 4_096;

/**
 * Middleware that lets a request pass only for an admin with a live session: it verifies the signature, then the claims,
 * then looks the session up. A missing, forged or expired token, an ended session and a deleted admin all get the same
 * 401. Handlers behind it get the admin by {@link principalOf}.
 */
export function createRequireAdmin(accessTokens: AccessTokenConfig): RequestHandler {
  const authenticator = new passport.Passport();
  authenticator.use('access-token', createStrategy(accessTokens));

  return (req, res, next) => {
    const onVerdict = (error: unknown, principal: Principal | false | undefined): void => {
      if (error) next(error);
      else if (!principal)
        next(new AppError('unauthorized', { headers: { 'WWW-Authenticate': challenge(req) } }));
      else {
        const context = contextOf(req);
        context.principal = principal;
        context.adminId = principal.admin.id;
        next();
      }
    };
    const middleware: unknown = authenticator.authenticate(
      'access-token',
      { session: false },
      onVerdict,
    );
    (middleware as RequestHandler)(req, res, next);
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
      // The only way to pass these two to jsonwebtoken.
      // oxlint-disable-next-line typescript/no-deprecated
      jsonWebTokenOptions: { complete: true, clockTolerance: CLOCK_TOLERANCE_SECONDS },
    },
    (token: { header?: unknown; payload?: unknown }, done) => {
      const claims = readAccessClaims(accessTokens, token);
      if (!claims) {
        done(null, false);
        return;
      }
      authenticate(claims).then(
        (principal) => done(null, principal ?? false),
        (error: unknown) => done(error, false),
      );
    },
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

function bearerToken(req: Request): string | null {
  const header = req.get('authorization') ?? '';
  return header.length > MAX_TOKEN_LENGTH ? null : (BEARER.exec(header)?.[1] ?? null);
}

/** RFC 6750, section 3: no error code for a request without credentials. */
const challenge = (req: Request): string =>
  req.get('authorization') === undefined
    ? BEARER_CHALLENGE
    : `${BEARER_CHALLENGE}, error="invalid_token"`;
