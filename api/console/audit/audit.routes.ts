import { once } from 'node:events';
import { Router, type Response } from 'express';
import * as z from 'zod';
import { markup } from '../../http/page.js';
import { parse } from '../../http/input/validate.js';
import { auditCsv, AuditFilter, readAuditEvents } from '../../ops/audit-trail.service.js';
import type { ConsoleDeps } from '../console-deps.js';
import { cursor, optionalText, optionalTime } from '../form-fields.js';
import { sendConsolePage } from '../layout/console-page.js';
import { queryFields, withQuery } from '../layout/format.js';
import { nextPage, section } from '../layout/parts.js';
import { wantsJson } from '../layout/wants-json.js';
import { renderAuditFilter, renderEvents } from './audit.pages.js';

const PAGE_SIZE = 50;

/** A field of a form that may be left empty. */
const unlessEmpty = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema);

const AuditQuery = z.object({
  event: unlessEmpty(AuditFilter.shape.event),
  adminId: unlessEmpty(AuditFilter.shape.adminId),
  operatorId: unlessEmpty(AuditFilter.shape.operatorId),
  since: optionalTime,
  until: optionalTime,
  text: optionalText(200),
  cursor,
});

/** Security events, and what operators did: filtered, page by page, or as CSV. */
export function auditRoutes(deps: ConsoleDeps): Router {
  const router = Router();

  router.get('/audit', async (req, res) => {
    const { cursor: place, ...filter } = parse(AuditQuery, req.query);
    const page = await readAuditEvents(deps, filter, { limit: PAGE_SIZE, cursor: place });
    if (wantsJson(req)) {
      res.json(page);
      return;
    }
    const fields = queryFields(filter);
    const more =
      page.next === null ? undefined : withQuery('/ops/audit', { ...fields, cursor: page.next });
    sendConsolePage(req, res, {
      title: 'Audit',
      section: 'audit',
      body: markup`${renderAuditFilter(filter)}${section(
        'events',
        'Events',
        markup`${renderEvents(page.rows)}${nextPage(more)}`,
        markup`<a href="${withQuery('/ops/audit.csv', fields)}" download>Download as CSV</a>`,
      )}`,
    });
  });

  router.get('/audit.csv', async (req, res) => {
    const { cursor: _place, ...filter } = parse(AuditQuery, req.query);
    await sendCsv(res, auditCsv(deps, filter));
  });
  return router;
}

/** The first line is read before the headers are sent, so that an error is still answered as one. */
async function sendCsv(res: Response, lines: AsyncGenerator<string>): Promise<void> {
  const header = await lines.next();
  const first = await lines.next();
  res.setHeader('Content-Type', 'text/csv; charset=utf-8');
  res.setHeader('Content-Disposition', 'attachment; filename="audit.csv"');
  for (const { value } of [header, first]) if (typeof value === 'string') res.write(value);
  for await (const line of lines) {
    if (res.destroyed) return;
    if (!res.write(line)) await drained(res);
  }
  res.end();
}

/** Resolves when there is room again, or nobody reads any more. */
async function drained(res: Response): Promise<void> {
  const wait = new AbortController();
  const { signal } = wait;
  await Promise.race([once(res, 'drain', { signal }), once(res, 'close', { signal })]);
  wait.abort();
}
