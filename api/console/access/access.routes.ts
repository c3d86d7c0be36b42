import { Router, type ErrorRequestHandler, type Request, type Response } from 'express';
import * as z from 'zod';
import { jsonOrFormBody, MAX_CREDENTIALS_BODY_BYTES } from '../../http/input/body.js';
import { EmailInput } from '../../http/input/inputs.js';
import { answerProblem, reportedError, setErrorHeaders } from '../../http/problem.js';
import { causeOf, contextOf } from '../../http/request-context.js';
import { parse } from '../../http/input/validate.js';
import { knownPassword } from '../../passwords/passwords.schemas.js';
import type { ConsoleDeps, ConsoleOptions } from '../console-deps.js';
import { wantsJson } from '../layout/wants-json.js';
import { sessionOf } from '../session.js';
import { endSession, findSession, openSession } from './console-session.service.js';
import { sendLoginPage } from './login.pages.js';
import { allowMethods, operatorCause, ownPath } from './operator.js';
import { requireSameOrigin } from './same-origin.js';
import type { SessionCookie } from './session-cookie.js';

/** Where to go on after the login, as a link or an alert had it. */
const nextPath = z.string().max(1_024).optional();
const LoginQuery = z.object({ next: nextPath });
const LoginForm = z.strictObject({ email: EmailInput, password: knownPassword, next: nextPath });
const LogoutForm = z.strictObject({});

/** The login: the only page of the console that needs no session. */
export function loginRoutes(
  deps: ConsoleDeps,
  { publicUrl }: ConsoleOptions,
  cookie: SessionCookie,
): Router {
  const router = Router();

  router.all('/login', allowMethods);
  router.get('/login', (req, res) => {
    const { next } = parse(LoginQuery, req.query);
    sendLoginPage(res, 200, { next });
  });

  router.post(
    '/login',
    (req, _res, next) => {
      requireSameOrigin(req, publicUrl);
      next();
    },
    deps.limits.logins,
    ...jsonOrFormBody(MAX_CREDENTIALS_BODY_BYTES),
    async (req, res) => {
      deps.passwords.requireRoom(contextOf(req));
      const { email, password, next } = parse(LoginForm, req.body);
      const former = cookie.read(req);
      const { token, adminId } = await openSession(deps, email, password, causeOf(req));
      contextOf(req).adminId = adminId;
      if (former !== undefined) await endFormer(deps, former, req);
      cookie.set(res, token);
      if (wantsJson(req)) res.json({ next: ownPath(next) });
      else res.redirect(303, ownPath(next));
    },
  );

  router.use('/login', refuseLogin);
  return router;
}

/** A browser that logs in anew leaves no session behind. */
async function endFormer(deps: ConsoleDeps, token: string, req: Request): Promise<void> {
  const former = await findSession(deps, token, 'update', causeOf(req));
  if (former) await endSession(deps, former, causeOf(req));
}

const refuseLogin: ErrorRequestHandler = (thrown: unknown, req, res: Response, _next) => {
  if (wantsJson(req)) {
    answerProblem(thrown, req, res);
    return;
  }
  const error = reportedError(thrown, req);
  setErrorHeaders(res, error);
  const { email, next } = (req.body ?? {}) as Partial<Record<string, unknown>>;
  const entered = {
    email: typeof email === 'string' ? email : undefined,
    next: typeof next === 'string' ? ownPath(next) : undefined,
  };
  sendLoginPage(res, error.status, entered, error);
};

/** Who is logged in, and the end of the session. Behind the guard. */
export function sessionRoutes(deps: ConsoleDeps, cookie: SessionCookie): Router {
  const router = Router();

  router.get('/session', (req, res) => {
    const { admin, isReadOnly, formToken } = sessionOf(req);
    res.json({ ...admin, read_only: isReadOnly, csrf: formToken });
  });

  router.post('/logout', async (req, res) => {
    parse(LogoutForm, req.body);
    await endSession(deps, sessionOf(req), operatorCause(req));
    cookie.clear(res);
    if (wantsJson(req)) res.status(204).end();
    else res.redirect(303, '/ops/login');
  });

  return router;
}
