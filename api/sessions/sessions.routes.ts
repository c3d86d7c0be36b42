import { Router, type RequestHandler } from 'express';
import { jsonBody, MAX_CREDENTIALS_BODY_BYTES } from '../http/input/body.js';
import { Id, NoQuery } from '../http/input/inputs.js';
import { findBeforePrecondition, precondition } from '../http/preconditions.js';
import { causeOf, contextOf, principalOf } from '../http/request-context.js';
import { parse } from '../http/input/validate.js';
import type { RoleOf } from '../admins/admins.service.js';
import type { RouteLimits } from '../rate-limits/route-limits.js';
import { logIn, type LoginDeps } from './login.service.js';
import { LoginRequest, loginView, RefreshRequest, sessionView } from './sessions.schemas.js';
import {
  listSessions,
  logOut,
  refreshSession,
  requireLiveSession,
  revokeSession,
  type RefreshDeps,
} from './sessions.service.js';

export interface SessionRoutesDeps extends LoginDeps, RefreshDeps {
  readonly limits: RouteLimits;
  readonly roleOf: RoleOf;
  readonly requireAdmin: RequestHandler;
}

export function sessionRoutes(deps: SessionRoutesDeps): Router {
  const { limits, roleOf, requireAdmin } = deps;
  const router = Router();
  const body = jsonBody(MAX_CREDENTIALS_BODY_BYTES);

  /**
   * @openapi
   * /auth/login:
   *   post:
   *     operationId: logIn
   *     tags: [Sessions]
   *     summary: Log in
   *     security: []
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/LoginRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200: { description: A new session and its tokens., content: { application/json: { schema: { $ref: '#/components/schemas/Login' } } } }
   *       401: { $ref: '#/components/responses/InvalidCredentials' }
   *       403: { $ref: '#/components/responses/EmailNotConfirmed' }
   *       503: { $ref: '#/components/responses/Overloaded' }
   */
  router.post('/auth/login', limits.logins, ...body, async (req, res) => {
    const { email, password } = parse(LoginRequest, req.body);
    const issued = await logIn(deps, email, password, causeOf(req));
    contextOf(req).adminId = issued.admin.id;
    res.json(loginView(issued, roleOf));
  });

  /**
   * @openapi
   * /auth/refresh:
   *   post:
   *     operationId: refresh
   *     tags: [Sessions]
   *     summary: Exchange a refresh token for new tokens
   *     description: >-
   *       Both tokens are new; the old access token stays valid until it expires. Sent again, the old refresh token gets the same new one as long
   *       as neither that nor its access token has been used, so a lost response can be retried at any time; and within
   *       ten seconds of its exchange it gets the session's current tokens in any case, so several tabs may refresh
   *       concurrently. Any other reuse ends the session.
   *     security: []
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/RefreshRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200: { description: The session's new tokens., content: { application/json: { schema: { $ref: '#/components/schemas/Login' } } } }
   *       401: { $ref: '#/components/responses/InvalidRefreshToken' }
   */
  router.post('/auth/refresh', limits.tokens, ...body, async (req, res) => {
    const { refresh_token: token } = parse(RefreshRequest, req.body);
    const issued = await refreshSession(deps, token, causeOf(req));
    contextOf(req).adminId = issued.admin.id;
    res.json(loginView(issued, roleOf));
  });

  /**
   * @openapi
   * /auth/logout:
   *   post:
   *     operationId: logOut
   *     tags: [Sessions]
   *     summary: Log out
   *     description: Ends the session; both of its tokens are revoked at once.
   *     responses:
   *       204: { description: Logged out. }
   */
  router.post('/auth/logout', requireAdmin, precondition, async (req, res) => {
    await logOut(deps, principalOf(req), causeOf(req));
    res.status(204).end();
  });

  /**
   * @openapi
   * /auth/sessions:
   *   get:
   *     operationId: listSessions
   *     tags: [Sessions]
   *     summary: List my live sessions
   *     description: The newest first, at most 100.
   *     responses:
   *       200: { description: My sessions., content: { application/json: { schema: { $ref: '#/components/schemas/SessionList' } } } }
   *       422: { $ref: '#/components/responses/ValidationFailed' }
   * /auth/sessions/{id}:
   *   delete:
   *     operationId: endSession
   *     tags: [Sessions]
   *     summary: End one of my sessions
   *     parameters: [{ $ref: '#/components/parameters/IdInPath' }]
   *     responses:
   *       204: { description: Its tokens are revoked. }
   *       404: { $ref: '#/components/responses/NotFound' }
   */
  router.get('/auth/sessions', requireAdmin, async (req, res) => {
    const { admin, sessionId } = principalOf(req);
    parse(NoQuery, req.query);
    const found = await listSessions(admin.id);
    res.json(found.map((session) => sessionView(session, sessionId)));
  });
  const found = findBeforePrecondition((req) =>
    requireLiveSession(principalOf(req).admin.id, parse(Id, req.params).id),
  );
  router.delete('/auth/sessions/:id', requireAdmin, found, precondition, async (req, res) => {
    const { id: adminId } = principalOf(req).admin;
    parse(NoQuery, req.query);
    await revokeSession(deps, adminId, parse(Id, req.params).id, causeOf(req));
    res.status(204).end();
  });

  return router;
}
