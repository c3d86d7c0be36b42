import { once } from 'node:events';
import { Router, type Response } from 'express';
import * as z from 'zod';
import { markup, type Html } from '../../http/page.js';
import { parse } from '../../http/input/validate.js';
import {
  auditCsv,
  AuditFilter,
  readAuditEvents,
  TEXT_DAYS,
  type AuditRow,
} from '../../ops/audit-trail.service.js';
import { cursor, optionalText, optionalTime } from '../access/fields.js';
import type { ConsoleDeps } from '../console-deps.js';
import { sendConsolePage } from '../layout/console-page.js';
import { clip, exactTime, foreign, queryFields, withQuery } from '../layout/format.js';
import { nextPage, section, table } from '../layout/parts.js';
import { wantsJson } from '../layout/wanted.js';

const PAGE_SIZE = 50;
const eventNames = AuditFilter.shape.event.unwrap();

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
      body: markup`${filterForm(filter)}${section(
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

type Filter = z.output<typeof AuditFilter>;

function filterForm({ event, adminId, operatorId, since, until, text }: Filter): Html {
  const options = eventNames.options.map(
    (name) =>
      markup`<option value="${name}"${name === event && markup` selected`}>${eventText(name)}</option>`,
  );
  const id = (name: string, label: string, value: number | undefined): Html =>
    markup`<div><label for="${name}">${label}</label><input type="text" inputmode="numeric" id="${name}" name="${name}" value="${value}" pattern="[0-9]*" autocomplete="off"></div>`;
  const time = (name: string, label: string, at: Date | undefined): Html =>
    markup`<div><label for="${name}">${label}</label><input type="datetime-local" id="${name}" name="${name}" value="${at?.toISOString().slice(0, 16)}"></div>`;
  return markup`<form class="panel fields" role="search" aria-label="Filter events">
<div><label for="event">Event</label><select id="event" name="event"><option value="">all</option>${options}</select></div>
<div><label for="text">Text in the details</label><input type="search" id="text" name="text" value="${clip(text ?? '', 200)}" autocomplete="off" spellcheck="false" aria-describedby="text-hint">
<p class="hint" id="text-hint">Searches the last ${TEXT_DAYS} days unless “Since” is set.</p></div>
${id('adminId', 'About admin', adminId)}${id('operatorId', 'By operator', operatorId)}
${time('since', 'Since (UTC)', since)}${time('until', 'Before (UTC)', until)}
<div><button type="submit" class="quiet">Filter</button></div></form>`;
}

const eventText = (name: string): string => name.replaceAll('_', ' ');

function renderEvents(rows: readonly AuditRow[]): Html {
  const columns = [
    { label: 'Time (UTC)' },
    { label: 'Event' },
    { label: 'Who', kind: 'short' },
    { label: 'From', kind: 'short' },
    { label: 'Details', kind: 'wide' },
  ] as const;
  return table(
    'Events, the newest first',
    columns,
    rows.map((row) => [
      exactTime(row.at),
      eventText(row.event),
      who(row),
      clip(row.ip ?? '', 60),
      details(row),
    ]),
    'No matching event.',
  );
}

/** The operator who acted, or the admin whom it is about. */
function who({ admin_id: adminId, details: { operator_id: operatorId, actor } }: AuditRow): Html {
  const about = adminId !== null && markup`<a href="/ops/admins/${adminId}">admin ${adminId}</a>`;
  const by =
    operatorId === undefined
      ? actor !== undefined && foreign(String(actor), 100)
      : markup`<a href="/ops/admins/${Number(operatorId)}">operator ${Number(operatorId)}</a>`;
  return by
    ? markup`${by}${about && markup`<span class="sub">about ${about}</span>`}`
    : markup`${about}`;
}

function details({ details: all, trace_id: traceId }: AuditRow): Html {
  const { operator_id: _operator, actor: _actor, reason, ...rest } = all;
  const pairs = Object.entries(rest).map(([name, value]) =>
    name === 'outbox_id'
      ? markup`<span class="sub"><a href="/ops/mail/messages/${String(value)}">the mail</a></span>`
      : markup`<span class="sub">${clip(name, 60).replaceAll('_', ' ')}: ${clip(String(value), 300)}</span>`,
  );
  return markup`${reason !== undefined && foreign(String(reason), 500)}${pairs}${traceId !== null && markup`<span class="sub">trace <code>${clip(traceId, 32)}</code></span>`}`;
}
