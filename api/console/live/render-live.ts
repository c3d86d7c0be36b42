import * as z from 'zod';
import { readBulkAction } from '../../ops/mail/bulk-actions.service.js';
import { readMailHistory } from '../../ops/mail/mail-timeline.service.js';
import { readSchedule } from '../../ops/schedule.service.js';
import type { ConsoleDeps } from '../console-deps.js';
import { renderAction } from '../mail/mail.pages.js';
import { historyParts } from '../mail/mail-history.pages.js';
import type { PagePart } from '../layout/parts.js';
import { overviewParts } from '../overview/overview.pages.js';
import type { Snapshots } from '../overview/snapshot.js';
import { renderSchedule } from '../schedule/schedule.pages.js';
import type { LivePart, RenderPage } from './streams.js';

/** The pages with live updates. */
export const LiveQuery = z.union([
  z.strictObject({ page: z.enum(['overview', 'schedule']) }),
  z.strictObject({ page: z.enum(['mail', 'action']), id: z.uuid() }),
]);

/** One name for all who see the same. */
export const nameOfPage = (query: z.output<typeof LiveQuery>, mayAct: boolean): string =>
  [query.page, 'id' in query ? query.id : '', mayAct ? 'write' : 'read'].join(' ');

/** Renders the parts of a page that change. */
export const createRender =
  (deps: ConsoleDeps, snapshots: Snapshots): RenderPage =>
  async (name) => {
    const [page = '', id = '', access] = name.split(' ');
    const mayAct = access === 'write';
    switch (page) {
      case 'overview':
        return overviewParts(await snapshots.read()).map(livePart);
      case 'schedule':
        return [livePart({ id: page, html: renderSchedule(await readSchedule(deps), mayAct) })];
      case 'action':
        return [livePart({ id: page, html: renderAction(await readBulkAction(deps, id)) })];
      default: {
        const history = await readMailHistory(deps, id);
        return history ? historyParts(history, mayAct).map(livePart) : [];
      }
    }
  };

const livePart = ({ id, html }: PagePart): LivePart => ({ id, html: html.text });
