import { Router, type ErrorRequestHandler, type Request, type RequestHandler } from 'express';
import { AppError, type FieldFault } from '../../shared/errors/app-error.js';
import { markup } from '../http/page.js';
import { answerProblem, reportedError, setErrorHeaders } from '../http/problem.js';
import { contextOf } from '../http/request-context.js';
import { loginRoutes, sessionRoutes } from './access/access.routes.js';
import { hasOperators } from './access/console-session.service.js';
import { allowMethods, ownPath, requireOperator, requireOwnForm } from './access/operator.js';
import { createSessionCookie } from './access/session-cookie.js';
import type { ConsoleDeps, ConsoleOptions } from './console-deps.js';
import { assets } from './layout/assets.js';
import { CONSOLE_POLICY, sendConsolePage } from './layout/console-page.js';
import { sendPlainPage } from './layout/plain-page.js';
import { wantsJson } from './layout/wants-json.js';
import type { Streams } from './live/streams.js';
import { liveRoutes } from './live/live.routes.js';
import { createRender } from './live/render-live.js';
import { overviewRoutes } from './overview/overview.routes.js';
import { createSnapshots } from './overview/snapshot.js';
import { adminRoutes } from './admins/admins.routes.js';
import { auditRoutes } from './audit/audit.routes.js';
import { deadLetterRoutes } from './mail/dead-letters.routes.js';
import { mailRoutes } from './mail/mail.routes.js';
import { queueRoutes } from './queues/queues.routes.js';
import { runbookRoutes } from './runbook/runbook.routes.js';
import { scheduleRoutes } from './schedule/schedule.routes.js';
import { knownSessionOf } from './session.js';

/** Everything below `/ops`: the login first, then the guard, then what only operators get. */
export function consoleRoutes(
  deps: ConsoleDeps,
  options: ConsoleOptions,
  streams: Streams,
): Router {
  const cookie = createSessionCookie(options.isSecure);
  const snapshots = createSnapshots(deps);
  const router = Router();

  router.use(setPageHeaders(options));
  router.use(refuseWithoutOperators(deps, options));
  router.use(loginRoutes(deps, options, cookie));
  router.use(requireOperator(deps, cookie));
  router.use(allowMethods);
  router.use(assetRoutes());
  router.post('/{*path}', ...requireOwnForm(deps, cookie, options.publicUrl));
  router.use(sessionRoutes(deps, cookie));
  router.use(overviewRoutes(snapshots));
  router.use(mailRoutes(deps));
  router.use(deadLetterRoutes(deps));
  router.use(queueRoutes(deps));
  router.use(adminRoutes(deps));
  router.use(scheduleRoutes(deps));
  router.use(auditRoutes(deps));
  router.use(runbookRoutes());
  router.use(liveRoutes(deps, cookie, streams, createRender(deps, snapshots)));

  router.use(() => {
    throw new AppError('not_found');
  });
  router.use(showProblem);
  return router;
}

/** Of every answer of the console. Without a referrer browsers would send `Origin: null` with its forms. */
const setPageHeaders =
  ({ environment }: ConsoleOptions): RequestHandler =>
  (_req, res, next) => {
    res.setHeader('Content-Security-Policy', CONSOLE_POLICY);
    res.setHeader('Referrer-Policy', 'same-origin');
    res.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    res.vary('Accept, Cookie');
    res.locals['environment'] = environment;
    next();
  };

/** As long as nobody could log in there is no console. */
const refuseWithoutOperators =
  (deps: ConsoleDeps, { operatorEmails }: ConsoleOptions): RequestHandler =>
  async (_req, _res, next) => {
    if (!(await hasOperators(deps, operatorEmails))) throw new AppError('not_found');
    next();
  };

/** The names change with the files, so browsers may keep them. */
function assetRoutes(): Router {
  const router = Router();
  for (const { path, type, content } of Object.values(assets))
    router.get(path, (_req, res) => {
      res.setHeader('Cache-Control', 'private, max-age=31536000, immutable');
      res.setHeader('Content-Type', type);
      res.send(content);
    });
  return router;
}

/** Answers what a route throws by a page, or by a problem document where data were asked for. */
const showProblem: ErrorRequestHandler = (thrown: unknown, req, res, _next) => {
  const isTooLate = res.headersSent || res.destroyed;
  const isTooLarge = thrown instanceof AppError && thrown.code === 'payload_too_large';
  if (isTooLate || isTooLarge || wantsJson(req)) {
    answerProblem(thrown, req, res);
    return;
  }
  const error = reportedError(thrown, req);
  setErrorHeaders(res, error);
  const { title, text } = wordsFor(error);
  const way =
    error.code === 'unauthorized'
      ? markup`<a class="button" href="/ops/login?next=${encodeURIComponent(formPage(req))}">Log in</a>`
      : markup`<a class="button" href="/ops">Back to the overview</a>`;
  const body = markup`<p>${text}</p>
<p>${way}</p>
<p class="soft">Request ${contextOf(req).requestId}</p>`;
  if (knownSessionOf(req)) sendConsolePage(req, res, { title, body }, error.status);
  else sendPlainPage(res, error.status, { title, body });
};

/** The page of the console that a form was sent from; the overview if that is not known. */
function formPage({ headers: { referer = '' } }: Request): string {
  if (!URL.canParse(referer)) return ownPath(undefined);
  const { pathname, search } = new URL(referer);
  return ownPath(`${pathname}${search}`);
}

/** Fields as the forms call them. */
const labels = new Map([
  ['adminId', 'About admin'],
  ['operatorId', 'By operator'],
  ['event', 'Event'],
  ['text', 'Text in the details'],
  ['since', 'Since'],
  ['until', 'Before'],
  ['state', 'Kind'],
  ['cause', 'Cause'],
  ['recipient', 'Recipient'],
  ['mail', 'Mail'],
  ['address', 'Address'],
  ['prefix', 'Address'],
  ['q', 'Search'],
  ['rate', 'Mails a second'],
  ['reason', 'Reason'],
]);

const faultText = ({ pointer, detail }: FieldFault): string => {
  const name = pointer.slice(2);
  return `${labels.get(name) ?? name}: ${detail}`;
};

function wordsFor(error: AppError): { readonly title: string; readonly text: string } {
  const faults = error.fields?.map(faultText);
  switch (error.code) {
    case 'not_found':
      return { title: 'Not found', text: error.detail ?? 'There is nothing at this address.' };
    case 'unauthorized':
      return { title: 'Please log in', text: 'Your session has ended. Nothing has been changed.' };
    case 'unavailable':
      // Of PostgreSQL's failures nothing else is said.
      if (error.detail !== undefined) return { title: error.title, text: error.detail };
      return {
        title: 'PostgreSQL does not answer',
        text: 'The console cannot ask for your session without it, so it shows nothing. Registration and logins fail as well. Try again in a moment.',
      };
    case 'read_only':
      return {
        title: 'Read-only',
        text: 'This account can view everything here and change nothing.',
      };
    case 'cross_site':
      return {
        title: 'Nothing has been changed',
        text: 'The form is not one of this session. Open the page again and repeat what you did.',
      };
    default:
      return { title: error.title, text: faults?.join('; ') ?? error.detail ?? error.title };
  }
}
