import {
  readOpenDeliveries,
  type OpenDeliveries,
} from '../../api/ops/mail/open-deliveries.service.js';
import { readOutboxState, type OutboxStateCount } from '../../api/ops/mail/outbox-state.service.js';
import { readOutboxTrend, trendText } from '../../api/ops/mail/outbox-trend.service.js';
import { duration } from '../../shared/duration.js';
import { readProcesses, type ProcessPresence } from '../../shared/presence/read-processes.js';
import type { Arguments, Command, CommandResult } from '../command.js';
import { columns, countText, timeText } from '../text.js';
import { timeOption, withTools } from '../tools.js';

/** How much work is waiting, and who does it. */
export const stateCommands: readonly Command[] = [
  {
    name: 'outbox',
    summary:
      'counts the outbox messages by state, with their ages and whether the backlog is falling',
    run: outbox,
  },
  {
    name: 'processes',
    options: [
      { flags: '--since <TIME>', summary: 'ISO 8601, or so long ago: 90m, 12h, 30d (default 1d)' },
    ],
    summary:
      'lists the running processes, those that ended in the last day or since a time, and how many mails each worker is delivering',
    run: processes,
  },
];

async function outbox(args: Arguments): Promise<CommandResult> {
  return withTools(args, async (tools) => {
    const state = await readOutboxState(tools);
    const trend = await readOutboxTrend(tools, state);
    const { settled_last_day: settled, ...open } = state;
    const settledText = Object.entries(settled).map(([outcome, n]) => `${n} ${outcome}`);
    return {
      lines: [
        ...Object.entries(open).map(([name, each]) => `${name.padEnd(10)}${countAndAge(each)}`),
        ...(trend ? [`waiting   ${trendText(trend)}`] : []),
        `settled   in the last day: ${settledText.join(', ') || 'none'}`,
      ],
      facts: { ...state, trend: trend ?? null },
    };
  });
}

const countAndAge = ({ count, oldest_seconds: age }: OutboxStateCount): string =>
  `${String(count).padStart(6)}${age === null ? '' : `   oldest ${duration(age)}`}`;

async function processes(args: Arguments): Promise<CommandResult> {
  const since = timeOption(args, 'since');
  return withTools(args, async (tools) => {
    const found = await readProcesses(tools.database, since);
    const deliveries = await readOpenDeliveries(tools);
    const rows = [
      ...found.live.map((each) => [...described(each), `seen ${agoText(each)}`, problemsOf(each)]),
      ...found.lost.map((each) => [...described(each), `VANISHED ${agoText(each)}`, '']),
      ...found.stopped.map((each) => [...described(each), `stopped ${agoText(each)}`, endOf(each)]),
    ];
    return {
      lines: [
        ...(rows.length === 0
          ? [`no process was seen ${since ? `since ${timeText(since)}` : 'in the last day'}`]
          : columns(rows)),
        ...deliveries.map(deliveriesText),
      ],
      facts: { ...found, deliveries },
    };
  });
}

const deliveriesText = ({ worker, count, ...oldest }: OpenDeliveries): string =>
  `${worker} delivers ${countText(count, 'mail')}, the oldest for ${duration(oldest.oldest_seconds)}: ${oldest.oldest_outbox_id}`;

const described = ({ service, roles, version, host, pid, startedAt }: ProcessPresence) => [
  service,
  roles.join(','),
  version,
  `${host}:${pid}`,
  `since ${timeText(startedAt)}`,
];

const agoText = ({ seenSecondsAgo }: ProcessPresence): string =>
  `${duration(Math.round(seenSecondsAgo))} ago`;

/** What a process sees that is wrong. */
const problemsOf = ({ health }: ProcessPresence): string =>
  Object.entries(health)
    .filter(([, { ok }]) => !ok)
    .map(([check, { problem }]) => `${check}: ${problem ?? 'not ok'}`)
    .join('; ');

const endOf = ({ stopReason, exitCode }: ProcessPresence): string =>
  `${stopReason ?? 'for an unknown reason'}${exitCode ? `, exit code ${exitCode}` : ''}`;
