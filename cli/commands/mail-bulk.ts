import { randomUUID } from 'node:crypto';
import {
  listBulkActions,
  MAX_RATE,
  runBulkAction,
  startBulkAction,
  stopBulkAction,
  type BulkAction,
} from '../../api/ops/mail/bulk-actions.service.js';
import { DeadLetterFilter } from '../../api/ops/mail/dead-letter-filter.service.js';
import {
  countDeadLetters,
  type DeadLetterAction,
} from '../../api/ops/mail/dead-letters.service.js';
import { readUuid } from '../../shared/database/ids.js';
import {
  optionOf,
  UsageError,
  type Arguments,
  type Command,
  type CommandResult,
  type OptionSpec,
} from '../command.js';
import { countText, timeText } from '../text.js';
import { causeOfCommand, reasonOption, timeOption, withTools, type Tools } from '../tools.js';

/** The options of an action on many dead letters. */
export const bulkOptions: readonly OptionSpec[] = [
  { flags: '--all', summary: 'every dead letter that matches the following options' },
  {
    flags: '--uncertain',
    summary: 'the mails that were perhaps sent, instead of the dead letters',
  },
  { flags: '--cause <CAUSE>', summary: 'only with this cause, as `mail causes` names it' },
  { flags: '--mail <NAME>', summary: 'only mails of this kind, such as send-confirmation-mail' },
  { flags: '--recipient <ADDRESS>', summary: 'only to this address, or to a domain: @example.com' },
  {
    flags: '--since <TIME>',
    summary: 'only requested since then: ISO 8601 (UTC by default), or an age: 90m, 12h, 3d',
  },
  { flags: '--until <TIME>', summary: 'only requested before then' },
  { flags: '--rate <N>', summary: `mails a second, up to ${MAX_RATE} (default 10)` },
  { flags: '--dry-run', summary: 'count them and change nothing' },
  { flags: '--detach', summary: 'leave the work to the API and return at once' },
  reasonOption,
];

/** Actions on many mails that have begun. */
export const bulkCommands: readonly Command[] = [
  { name: 'mail actions', summary: 'lists the newest bulk actions', run: list },
  {
    name: 'mail stop',
    arguments: [{ name: 'ACTION', summary: 'the id of a bulk action' }],
    options: [reasonOption],
    summary: 'stops a bulk action',
    run: stop,
  },
];

const DEFAULT_RATE = 10;

/**
 * Redrives or discards all that fit. The command does the work itself and shows how far it is; when it is interrupted the action
 * is stopped, and when it is killed an API carries it on.
 */
export async function decideAboutMany(
  args: Arguments,
  action: DeadLetterAction,
): Promise<CommandResult> {
  if (args.words.length > 0) throw new UsageError('an id and --all cannot be combined');
  const filter = filterOf(args);
  const rate = rateOf(args);
  const cause = causeOfCommand(args);
  return withTools(args, async (tools) => {
    const count = await countDeadLetters(tools, filter);
    if (args.options['dryRun'] === true) return counted(action, count);
    if (count === 0) return nothingFits(action, filter, rate);
    const runner = args.options['detach'] === true ? undefined : randomUUID();
    const started = await startBulkAction(tools, { action, filter, rate }, cause, runner);
    if (runner === undefined) return detached(started);
    const ended = await work(args, tools, started, runner);
    return ended.state === 'completed' ? completed(ended) : { ...completed(ended), isOk: false };
  });
}

function filterOf(args: Arguments): DeadLetterFilter {
  const { success, data, error } = DeadLetterFilter.safeParse({
    state: args.options['uncertain'] === true ? 'uncertain' : 'dead',
    cause: optionOf(args, 'cause'),
    mail: optionOf(args, 'mail'),
    recipient: optionOf(args, 'recipient'),
    since: timeOption(args, 'since'),
    until: timeOption(args, 'until'),
  });
  if (success) return data;
  throw new UsageError(`--${String(error.issues[0]?.path[0])} is too long`);
}

function rateOf(args: Arguments): number {
  const text = optionOf(args, 'rate');
  if (text === undefined) return DEFAULT_RATE;
  const rate = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && rate > 0 && rate <= MAX_RATE) return rate;
  throw new UsageError(`--rate must be a number of mails a second, up to ${MAX_RATE}`);
}

async function work(
  args: Arguments,
  tools: Tools,
  { id, total }: BulkAction,
  runner: string,
): Promise<BulkAction> {
  const progress = await args.terminal.progress(total, 'mails');
  const signal = args.terminal.interrupted();
  try {
    const ended = await runBulkAction(tools, id, {
      runner,
      signal,
      follows: true,
      onProgress: ({ done }) => progress.update(done),
    });
    if (ended.state !== 'running') return ended;
    const cause = { ...causeOfCommand(args), reason: 'the command was interrupted' };
    return await stopBulkAction(tools, id, cause);
  } finally {
    progress.stop();
  }
}

const verbs = {
  redrive: { name: 'redriven', isDone: 'retried' },
  discard: { name: 'discarded', isDone: 'discarded' },
} as const satisfies Record<DeadLetterAction, object>;

function counted(action: DeadLetterAction, count: number): CommandResult {
  const text = `${countText(count, 'mail')} would be ${verbs[action].isDone}; nothing has changed`;
  return { lines: [text], facts: { would_be: verbs[action].name, count } };
}

function nothingFits(
  action: DeadLetterAction,
  filter: DeadLetterFilter,
  rate: number,
): CommandResult {
  const isWhole = Object.values(filter).filter((value) => value !== undefined).length === 1;
  const text = isWhole && filter.state === 'dead' ? 'no mail has been given up' : 'no mail matches';
  return { lines: [text], facts: { [verbs[action].name]: 0, rate } };
}

function detached({ id, total, rate }: BulkAction): CommandResult {
  return {
    lines: [
      `${countText(total, 'mail')}, ${rate} a second: an API starts within seconds`,
      `Progress: \`mail actions\`; to stop it: \`mail stop ${id}\``,
    ],
    facts: { bulk_action: id, total, rate },
  };
}

function completed({ id, action, done, rate, state }: BulkAction): CommandResult {
  const { name, isDone } = verbs[action];
  const pace = action === 'redrive' ? `, ${rate} a second` : '';
  const end = state === 'stopped' ? '; then it was stopped' : '';
  return {
    lines: [`${countText(done, 'mail is', 'mails are')} ${isDone}${pace}${end}`],
    facts: { [name]: done, rate, bulk_action: id, state },
  };
}

async function list(args: Arguments): Promise<CommandResult> {
  return withTools(args, async (tools) => {
    const actions = await listBulkActions(tools);
    return {
      lines: actions.length === 0 ? ['none in the last 30 days'] : actions.map(describe),
      facts: { actions },
    };
  });
}

const describe = (each: BulkAction): string =>
  [
    each.id,
    `${each.action}, ${each.state}`,
    `${each.done} of ${each.total}`,
    `since ${timeText(each.created_at)}`,
    `by ${each.actor ?? `operator ${each.operator_id ?? 'unknown'}`}`,
    ...(each.reason === '' ? [] : [each.reason]),
  ].join('  ');

async function stop(args: Arguments): Promise<CommandResult> {
  const id = readUuid(args.words[0] ?? '');
  if (id === undefined) throw new UsageError('that is not the id of a bulk action');
  const cause = causeOfCommand(args);
  return withTools(args, async (tools) => {
    const { done, total } = await stopBulkAction(tools, id, cause);
    return {
      lines: [`stopped: ${done} of ${countText(total, 'mail')} done`],
      facts: { bulk_action: id, done, total, state: 'stopped' },
    };
  });
}
