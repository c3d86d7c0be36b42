import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import type { Statements } from '../../shared/database/statements.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { AdminRow } from '../../shared/models/index.js';
import { BEARER_CHALLENGE } from '../http/problem.js';
import { contextOf } from '../http/request-context.js';
import type { AccessClaims } from './access-tokens.js';
import type { Authenticator } from './authenticator.js';
import { createSessionRead } from './session-read.js';
import { ADMIN_COLUMNS } from './session-tokens.js';

/** Finds the admin of an access token's claims, if the session is live and the admin still exists. */
export type FindAdmin = (claims: AccessClaims) => Promise<AdminRow | undefined>;

export function createFindAdmin(statements: Statements): FindAdmin {
  const read = createSessionRead<undefined, AdminRow>(statements, {
    name: 'read-session-admin',
    columns: ADMIN_COLUMNS,
    joins: 'left join lateral (select * from admins where id = s.admin_id limit 1) a on true',
    values: {},
    atMost: 100,
  });
  return (claims) => read(claims, undefined);
}

/** Tells whether the session of an access token's claims is live; then its admin exists. */
export type HasSession = (claims: AccessClaims) => Promise<boolean>;

export function createHasSession(statements: Statements): HasSession {
  const read = createSessionRead<undefined, object>(statements, {
    name: 'read-session',
    values: {},
    atMost: 100,
  });
  return async (claims) => (await read(claims, undefined)) !== undefined;
}

/**
 * Middleware that lets a request pass only for an admin with a live session: it verifies the signature, then the claims,
 * then looks the session up. A missing, forged or expired token, an ended session and a deleted admin all get the same
 * 401. Handlers behind it get the admin by {@link principalOf}.
 */
export function createRequireAdmin(
  authenticator: Authenticator,
  findAdmin: FindAdmin,
): RequestHandler {
  return async (req, res, next) => {
    const claims = await authenticator.claimsOf(req, res);
    const admin = claims && (await findAdmin(claims));
    if (!admin) throw unauthorized(req);
    const context = contextOf(req);
    context.principal = { admin, sessionId: claims.sessionId };
    context.adminId = admin.id;
    next();
  };
}

/** As {@link createRequireAdmin}, for handlers that need no more of the admin than its id: see {@link adminIdOf}. */
export function createRequireSession(
  authenticator: Authenticator,
  hasSession: HasSession,
): RequestHandler {
  return async (req, res, next) => {
    const claims = await authenticator.claimsOf(req, res);
    if (!claims || !(await hasSession(claims))) throw unauthorized(req);
    contextOf(req).adminId = claims.adminId;
    next();
  };
}

/** RFC 6750, section 3: no error code for a request without credentials, or with another scheme. */
export function unauthorized({ headers: { authorization } }: IncomingMessage): AppError {
  const isBearer = /^bearer(?: |$)/i.test(authorization ?? '');
  const challenge = isBearer ? `${BEARER_CHALLENGE}, error="invalid_token"` : BEARER_CHALLENGE;
  return new AppError('unauthorized', { headers: { 'WWW-Authenticate': challenge } });
}
