import type { Request, RequestHandler } from 'express';
import jwt from 'jsonwebtoken';
import passport from 'passport';
import { Strategy } from 'passport-jwt';
import { AppError } from '../../shared/errors/app-error.js';
import { BEARER_CHALLENGE } from '../http/problem.js';
import type { Principal } from '../../shared/models/index.js';
import { contextOf } from '../http/request-context.js';
import { CLOCK_TOLERANCE_SECONDS, type AccessTokens } from './access-tokens.js';
import type { SessionService } from './sessions.service.js';

/** Anchored: `Bearer a b` is not a token. The scheme's case does not matter (RFC 9110, 11.1). */
const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;
const MAX_TOKEN_LENGTH = 4_096;

/**
 * Lets a request pass only for an admin with a live session: the signature first, then our own rules, then the
 * database's word. A missing, forged or expired token, an ended session and a deleted admin all get the same 401.
 * What runs behind it finds the admin by {@link principalOf}.
 */
export function createAdminGuard(
  tokens: AccessTokens,
  sessions: Pick<SessionService, 'authenticate'>,
): RequestHandler {
  const authenticator = new passport.Passport();
  authenticator.use('access-token', createStrategy(tokens, sessions));

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
    const authenticate: unknown = authenticator.authenticate(
      'access-token',
      { session: false },
      onVerdict,
    );
    (authenticate as RequestHandler)(req, res, next);
  };
}

function createStrategy(
  tokens: AccessTokens,
  sessions: Pick<SessionService, 'authenticate'>,
): Strategy {
  const keys = new Map(tokens.keys.all.map(({ id, key }) => [id, key]));
  return new Strategy(
    {
      jwtFromRequest: bearerToken,
      secretOrKeyProvider: (_req, token: string, done) => {
        const key = keys.get(keyIdOf(token));
        // passport-jwt's types know strings only; a KeyObject is what makes jsonwebtoken fast.
        if (key) done(null, key as unknown as string);
        else done(new Error('unknown key'));
      },
      issuer: tokens.issuer,
      audience: tokens.audience,
      algorithms: ['HS256'],
      // The only way to hand jsonwebtoken these two.
      // oxlint-disable-next-line typescript/no-deprecated
      jsonWebTokenOptions: { complete: true, clockTolerance: CLOCK_TOLERANCE_SECONDS },
    },
    (token: { header?: unknown; payload?: unknown }, done) => {
      const claims = tokens.readHeaderAndClaims(token.header, token.payload);
      if (!claims) {
        done(null, false);
        return;
      }
      sessions.authenticate(claims).then(
        (principal) => done(null, principal ?? false),
        (error: unknown) => done(error, false),
      );
    },
  );
}

/** The id of the key that the token says it was signed with, or something that is none. */
function keyIdOf(token: string): string {
  try {
    return jwt.decode(token, { complete: true })?.header.kid ?? '';
  } catch {
    // A header of type JWT in front of claims that are no JSON: anybody can send that.
    return '';
  }
}

function bearerToken(req: Request): string | null {
  const header = req.get('authorization') ?? '';
  return header.length > MAX_TOKEN_LENGTH ? null : (BEARER.exec(header)?.[1] ?? null);
}

/** RFC 6750, section 3: no error code for a request that brought no credentials. */
const challenge = (req: Request): string =>
  req.get('authorization') === undefined
    ? BEARER_CHALLENGE
    : `${BEARER_CHALLENGE}, error="invalid_token"`;
