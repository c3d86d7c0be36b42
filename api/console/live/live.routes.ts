import { Router } from 'express';
import { AppError } from '../../../shared/errors/app-error.js';
import { causeOf, contextOf } from '../../http/request-context.js';
import { parse } from '../../http/input/validate.js';
import { findSession } from '../access/console-session.service.js';
import { mayAct } from '../access/operator.js';
import type { SessionCookie } from '../access/session-cookie.js';
import type { ConsoleDeps } from '../console-deps.js';
import { sessionOf } from '../session.js';
import { LiveQuery, nameOfPage } from './render-live.js';
import type { RenderPage, Streams } from './streams.js';

/** Server-sent events with the parts of a page that have changed. */
export function liveRoutes(
  deps: ConsoleDeps,
  cookie: SessionCookie,
  streams: Streams,
  render: RenderPage,
): Router {
  const router = Router();

  router.get('/live', (req, res) => {
    const page = nameOfPage(parse(LiveQuery, req.query), mayAct(req));
    const token = cookie.read(req) ?? '';
    const cause = causeOf(req);
    const isAllowed = async (): Promise<boolean> =>
      (await findSession(deps, token, 'update', cause)) !== undefined;
    const stream = { res, page, sessionId: sessionOf(req).id, isAllowed };
    if (!streams.add(stream, render))
      throw new AppError('unavailable', {
        detail: 'Too many pages are open.',
        headers: { 'Retry-After': '30' },
      });
    contextOf(req).isStream = true;
    res.setHeader('Content-Type', 'text/event-stream; charset=utf-8');
    // A proxy that collects the answer would never pass anything on.
    res.setHeader('X-Accel-Buffering', 'no');
    res.write('retry: 5000\n\n');
  });

  return router;
}
