import {
  auditCsv,
  AuditFilter,
  readAuditEvents,
  TEXT_DAYS,
  type AuditRow,
} from '../../api/ops/audit-trail.service.js';
import { MAX_ID } from '../../shared/database/ids.js';
import { auditEventNames } from '../../shared/models/index.js';
import {
  countOf,
  nextPage,
  optionOf,
  pageOptions,
  pageRequestOf,
  UsageError,
  type Arguments,
  type Command,
  type CommandResult,
  type CommandStream,
} from '../command.js';
import { timeText } from '../text.js';
import { openTools, timeOption, withTools } from '../tools.js';

/** What was done, by whom. */
export const auditCommands: readonly Command[] = [
  {
    name: 'audit',
    options: [
      { flags: '--event <NAME>', summary: 'only events of this name', values: auditEventNames },
      { flags: '--admin <ID>', summary: 'only events about this admin' },
      { flags: '--operator <ID>', summary: 'only what this operator did in the console' },
      {
        flags: '--since <TIME>',
        summary: 'only events since then: ISO 8601 (UTC by default), or an age: 90m, 12h, 3d',
      },
      { flags: '--until <TIME>', summary: 'only events before then' },
      {
        flags: '--text <TEXT>',
        summary: `only events with this text in their details; without --since, of the last ${TEXT_DAYS} days`,
      },
      { flags: '--csv', summary: 'print all that match, up to 100,000, as CSV' },
      ...pageOptions,
    ],
    summary: 'lists security events and what operators did, newest first',
    run: list,
  },
];

async function list(args: Arguments): Promise<CommandResult | CommandStream> {
  const filter = filterOf(args);
  const request = pageRequestOf(args);
  if (args.options['csv'] === true) {
    if (args.isJson) throw new UsageError('--csv and --json cannot be combined');
    return { stream: csvOf(args, filter) };
  }
  return withTools(args, async (tools) => {
    const { rows, next } = await readAuditEvents(tools, filter, request);
    return {
      lines: rows.length === 0 ? ['none found'] : [...rows.map(describe), ...nextPage(next)],
      facts: { events: rows, next },
    };
  });
}

function filterOf(args: Arguments): AuditFilter {
  const { success, data } = AuditFilter.safeParse({
    event: optionOf(args, 'event'),
    adminId: countOf(args, 'admin', MAX_ID),
    operatorId: countOf(args, 'operator', MAX_ID),
    since: timeOption(args, 'since'),
    until: timeOption(args, 'until'),
    text: optionOf(args, 'text'),
  });
  if (!success) throw new UsageError('--text takes at most 200 characters');
  return data;
}

/** The database stays open until the last line has been read. */
async function* csvOf(args: Arguments, filter: AuditFilter): AsyncGenerator<string> {
  const tools = openTools(args);
  try {
    for await (const line of auditCsv(tools, filter)) yield line.slice(0, -2);
  } finally {
    await tools.close();
  }
}

function describe({ at, event, admin_id, ip, details }: AuditRow): string {
  const facts = Object.entries(details).map(([name, value]) => `${name}=${String(value)}`);
  return [
    timeText(at),
    event,
    ...(admin_id === null ? [] : [`admin ${admin_id}`]),
    ...(ip === null ? [] : [`from ${ip}`]),
    ...facts,
  ].join('  ');
}
