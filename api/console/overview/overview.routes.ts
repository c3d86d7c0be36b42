import { Router } from 'express';
import { sendConsolePage } from '../layout/console-page.js';
import { wantsJson } from '../layout/wants-json.js';
import { overviewParts } from './overview.pages.js';
import { overviewView } from './overview.views.js';
import type { Snapshots } from './snapshot.js';

/** The first page: how the service is. */
export function overviewRoutes(snapshots: Snapshots): Router {
  const router = Router();
  router.get('/', async (req, res) => {
    const snapshot = await snapshots.read();
    if (wantsJson(req)) {
      res.json(overviewView(snapshot));
      return;
    }
    sendConsolePage(req, res, {
      title: 'Overview',
      section: 'overview',
      live: 'page=overview',
      hasOwnHeading: true,
      body: overviewParts(snapshot).map(({ html }) => html),
    });
  });
  return router;
}
