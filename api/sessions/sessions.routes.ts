import { Router, type RequestHandler } from 'express';
import * as z from 'zod';
import { jsonBody, SMALL_BODY } from '../http/body.js';
import { Id } from '../http/inputs.js';
import { causeOf, contextOf, principalOf } from '../http/request-context.js';
import { parse } from '../http/validate.js';
import { LoginRequest, RefreshRequest } from './sessions.schemas.js';
import type { AuthLimits } from '../throttling/route-limits.js';
import type { RoleOf } from '../admins/admins.views.js';
import { loginView, sessionView } from './sessions.views.js';
import type { LoginService } from './login.service.js';
import type { SessionService } from './sessions.service.js';

export interface SessionRoutesDeps {
  readonly limits: AuthLimits;
  readonly logins: LoginService;
  readonly sessions: SessionService;
  readonly roleOf: RoleOf;
  readonly adminsOnly: RequestHandler;
}

const SessionsQuery = z.strictObject({});

export function sessionRoutes(deps: SessionRoutesDeps): Router {
  const { logins, sessions, limits, roleOf, adminsOnly } = deps;
  const router = Router();

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
   */
  router.post('/auth/login', limits.logins, ...jsonBody(SMALL_BODY), async (req, res) => {
    const { email, password } = parse(LoginRequest, req.body);
    const issued = await logins.logIn(email, password, causeOf(req));
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
   *       Both tokens are new, and the refresh token that was sent is exchanged for the new one. Sent again, it gets the
   *       same new one as long as nobody has used that or its access token, so a lost answer costs nothing however late
   *       it is asked for; and within ten seconds of its exchange it gets the session's current tokens in any case, so
   *       several tabs may refresh side by side. Any other second use ends the session.
   *     security: []
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/RefreshRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200: { description: The session's new tokens., content: { application/json: { schema: { $ref: '#/components/schemas/Login' } } } }
   *       401: { $ref: '#/components/responses/InvalidRefreshToken' }
   */
  router.post('/auth/refresh', limits.tokens, ...jsonBody(SMALL_BODY), async (req, res) => {
    const issued = await sessions.refresh(
      parse(RefreshRequest, req.body).refresh_token,
      causeOf(req),
    );
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
   *     description: Ends the session; both of its tokens are dead at once.
   *     responses:
   *       204: { description: Logged out. }
   */
  router.post('/auth/logout', adminsOnly, async (req, res) => {
    await sessions.logOut(principalOf(req), causeOf(req));
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
   *       204: { description: Its tokens are dead. }
   *       404: { $ref: '#/components/responses/NotFound' }
   */
  router.get('/auth/sessions', adminsOnly, async (req, res) => {
    const { admin, sessionId } = principalOf(req);
    parse(SessionsQuery, req.query);
    const found = await sessions.list(admin.id);
    res.json(found.map((session) => sessionView(session, sessionId)));
  });
  router.delete('/auth/sessions/:id', adminsOnly, async (req, res) => {
    await sessions.revoke(principalOf(req).admin.id, parse(Id, req.params).id, causeOf(req));
    res.status(204).end();
  });

  return router;
}
