import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import type { Cause } from '../../../shared/audit/audit.js';
import { AppError } from '../../../shared/errors/app-error.js';
import { jsonOrFormBody, MAX_BODY_BYTES } from '../../http/input/body.js';
import { markup } from '../../http/page.js';
import { setErrorHeaders } from '../../http/problem.js';
import { causeOf, contextOf } from '../../http/request-context.js';
import { sendPlainPage } from '../layout/plain-page.js';
import { isNavigation } from '../layout/wants-json.js';
import { FORM_TOKEN, sessionOf, setSession } from '../session.js';
import { findSession, isFormToken, type ConsoleSessionDeps } from './console-session.service.js';
import { requireSameOrigin } from './same-origin.js';
import type { SessionCookie } from './session-cookie.js';

/** The request as the cause of what an operator does, for a reason. */
export const operatorCause = (req: IncomingMessage, reason?: string): Cause => ({
  ...causeOf(req),
  operatorId: sessionOf(req).admin.id,
  reason,
});

/** True unless the account may only look. */
export const mayAct = (req: IncomingMessage): boolean => !sessionOf(req).isReadOnly;

/** Lets a page pass that asks before it changes something. @throws {AppError} `read_only`. */
export const requireWriter: RequestHandler = (req, _res, next) => {
  if (sessionOf(req).isReadOnly) throw new AppError('read_only');
  next();
};

/**
 * Lets a request pass only with a live session of an operator, asked in PostgreSQL every time. A browser that opens a page is
 * sent to the login; everything else gets 401.
 */
export const requireOperator =
  (deps: ConsoleSessionDeps, cookie: SessionCookie): RequestHandler =>
  async (req, res, next) => {
    const token = cookie.read(req);
    const session = token && (await findSession(deps, token, useOf(req.path), causeOf(req)));
    if (session) {
      setSession(req, session);
      contextOf(req).adminId = session.admin.id;
      next();
      return;
    }
    if (token !== undefined) cookie.clear(res);
    if (!isNavigation(req)) throw new AppError('unauthorized');
    // A strict cookie is not sent from another site's link, such as one in an alert: asked again from here, it is.
    if (token === undefined && req.headers['sec-fetch-site'] === 'cross-site') {
      const path = ownPath(req.originalUrl);
      setErrorHeaders(res, new AppError('unauthorized'));
      sendPlainPage(res, 401, {
        title: 'Opening the console',
        refreshTo: path,
        body: markup`<p><a class="button" href="${path}">Continue</a></p>`,
      });
    } else res.redirect(302, loginPath(req.originalUrl));
  };

/** The stream of live updates does not keep its session from being idle. */
const useOf = (path: string): 'request' | 'update' => (path === '/live' ? 'update' : 'request');

const CONSOLE_PATH = /^\/ops(?:\/[\w.~%-]+)*(?:\?[\w.~%&=+@:*-]*)?$/;

/** A path of the console to go on to after the login; never another host's. */
export const ownPath = (path: string | undefined): string =>
  path !== undefined && CONSOLE_PATH.test(path) && !path.startsWith('/ops/log') ? path : '/ops';

const loginPath = (from: string): string =>
  ownPath(from) === '/ops' ? '/ops/login' : `/ops/login?next=${encodeURIComponent(from)}`;

/**
 * Everything that a change must pass: it comes from a page of this console, which was rendered for this session, and the
 * session may change something. Reads the body, a form or JSON.
 * @throws {AppError} `cross_site`, `unsupported_media_type`, `read_only`.
 */
export const requireOwnForm = (
  deps: ConsoleSessionDeps,
  cookie: SessionCookie,
  publicUrl: string,
): RequestHandler[] => [
  (req, _res, next) => {
    requireSameOrigin(req, publicUrl);
    next();
  },
  ...jsonOrFormBody(MAX_BODY_BYTES),
  (req, _res, next) => {
    const { [FORM_TOKEN]: claimed, ...fields } = req.body as Record<string, unknown>;
    const session = sessionOf(req);
    const token = cookie.read(req) ?? '';
    if (typeof claimed !== 'string' || !isFormToken(deps, token, session, claimed))
      throw new AppError('cross_site');
    if (session.isReadOnly && req.path !== '/logout') throw new AppError('read_only');
    req.body = fields;
    next();
  },
];

/** Methods of the console; OPTIONS names them, everything else is 405. */
export const allowMethods: RequestHandler = (req, res, next) => {
  const headers = { Allow: 'GET, HEAD, POST' };
  if (req.method === 'OPTIONS') res.writeHead(204, headers).end();
  else if (['GET', 'HEAD', 'POST'].includes(req.method)) next();
  else throw new AppError('method_not_allowed', { headers });
};
