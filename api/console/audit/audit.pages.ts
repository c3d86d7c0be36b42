import { markup, type Html } from '../../http/page.js';
import { AuditFilter, TEXT_DAYS, type AuditRow } from '../../ops/audit-trail.service.js';
import { clip, exactTime, foreign } from '../layout/format.js';
import { table } from '../layout/parts.js';

/** The form that filters the events. */
export function renderAuditFilter({
  event,
  adminId,
  operatorId,
  since,
  until,
  text,
}: AuditFilter): Html {
  const options = AuditFilter.shape.event
    .unwrap()
    .options.map(
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

/** The table of the events. */
export function renderEvents(rows: readonly AuditRow[]): Html {
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
