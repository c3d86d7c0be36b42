import { Router } from 'express';
import type { ConsoleDeps } from '../console-deps.js';
import { sendConsolePage } from '../layout/console-page.js';
import { markup } from '../../http/page.js';
import type { Streams } from '../live/streams.js';

/** The first page: how the service is. */
export function overviewRoutes(_deps: ConsoleDeps, _streams: Streams): Router {
  const router = Router();
  router.get('/', (req, res) => {
    sendConsolePage(req, res, { title: 'Overview', section: 'overview', body: markup`<p>…</p>` });
  });
  return router;
}
