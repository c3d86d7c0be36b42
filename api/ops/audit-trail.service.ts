import { QueryTypes } from 'sequelize';
import * as z from 'zod';
import type { Database } from '../../shared/database/connect.js';
import { MAX_ID } from '../../shared/database/ids.js';
import { auditEventNames } from '../../shared/models/index.js';
import { allOf, when, type Condition } from './condition.js';
import { pageOf, placeOf, type Page, type PageRequest } from './keyset.js';

/** An audit event; see `audit_events`. */
export interface AuditRow {
  readonly id: string;
  readonly at: Date;
  readonly event: string;
  readonly admin_id: number | null;
  readonly session_id: number | null;
  readonly request_id: string | null;
  readonly trace_id: string | null;
  readonly ip: string | null;
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

const AccountId = z.coerce
  .number('must be a number')
  .int('must be a whole number')
  .positive('must be 1 or more')
  .max(MAX_ID, `must be at most ${MAX_ID}`);

/** Which events: those that fit every field. */
export const AuditFilter = z.strictObject({
  event: z.enum(auditEventNames).optional(),
  /** The admin whom it is about. */
  adminId: AccountId.optional(),
  /** The operator who acted in the console. */
  operatorId: AccountId.optional(),
  /** `until` is exclusive. */
  since: z.coerce.date().optional(),
  until: z.coerce.date().optional(),
  /** Anywhere in the details, in either case. Without `since`, in the seven days before `until` alone, as no index helps. */
  text: z.string().min(1).max(200).optional(),
});

export type AuditFilter = z.output<typeof AuditFilter>;

/** How far back a text is looked for unless a beginning is given. */
export const TEXT_DAYS = 7;
const CSV_PAGE = 1_000;
const MAX_CSV_ROWS = 100_000;
const IdKey = z.tuple([z.uuid()]);

/** The events that fit, the newest first. @throws {AppError} `invalid_cursor`. */
export async function readAuditEvents(
  { database }: { readonly database: Database },
  filter: AuditFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<AuditRow>> {
  const [before] = placeOf(IdKey, cursor) ?? [];
  const { sql, bind } = conditionOf(filter, before);
  const found = await database.query<AuditRow>(
    `select id, at, event, admin_id, session_id, request_id, trace_id, ip, details from audit_events
      where ${sql} order by id desc limit $limit`,
    { type: QueryTypes.SELECT, bind: { ...bind, limit: limit + 1 } },
  );
  return pageOf(found, limit, ({ id }) => [id]);
}

function conditionOf(filter: AuditFilter, before: string | undefined): Condition {
  const { event, adminId, operatorId, since, until, text } = filter;
  return allOf([
    // Ids begin with the time, so the key of each month's partition has the order.
    when('before', before, 'id < $before'),
    when('event', event, 'event = $event'),
    when('adminId', adminId, 'admin_id = $adminId'),
    when('operatorId', operatorId?.toString(), `details->>'operator_id' = $operatorId`),
    when('since', since, 'at >= $since'),
    when('until', until, 'at < $until'),
    text === undefined || since !== undefined ? undefined : lookBackFrom(until),
    when('text', text?.toLowerCase(), 'strpos(lower(details::text), $text) > 0'),
  ]);
}

const lookBackFrom = (until: Date | undefined): Condition => ({
  sql: `at >= ${until === undefined ? 'now()' : 'least($until, now())'} - interval '${TEXT_DAYS} days'`,
  bind: {},
});

const CSV_COLUMNS = [
  'at',
  'event',
  'admin_id',
  'operator_id',
  'actor',
  'reason',
  'session_id',
  'request_id',
  'trace_id',
  'ip',
  'details',
] as const;

/**
 * The events that fit as lines of CSV (RFC 4180), a header first, the newest event first, at most 100,000 of them. No cell
 * begins as a formula does, so that a spreadsheet runs none (OWASP, CSV Injection).
 */
export async function* auditCsv(
  deps: { readonly database: Database },
  filter: AuditFilter,
): AsyncGenerator<string> {
  yield csvLine(CSV_COLUMNS);
  let cursor: string | undefined;
  for (let written = 0; written < MAX_CSV_ROWS; written += CSV_PAGE) {
    const page = await readAuditEvents(deps, filter, { limit: CSV_PAGE, cursor });
    for (const row of page.rows) yield csvLine(cellsOf(row));
    if (page.next === null) return;
    cursor = page.next;
  }
}

function cellsOf(row: AuditRow): string[] {
  const { operator_id: operator = '', actor = '', reason = '', ...details } = row.details;
  return [
    row.at.toISOString(),
    row.event,
    String(row.admin_id ?? ''),
    String(operator),
    String(actor),
    String(reason),
    String(row.session_id ?? ''),
    row.request_id ?? '',
    row.trace_id ?? '',
    row.ip ?? '',
    Object.keys(details).length === 0 ? '' : JSON.stringify(details),
  ];
}

const csvLine = (cells: readonly string[]): string => `${cells.map(csvCell).join(',')}\r\n`;

/** One cell: a text that a spreadsheet would take for a formula begins with a quote instead. */
export function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
