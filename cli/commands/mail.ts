import {
  discardMail,
  groupDeadLetters,
  readDeadLetters,
  redriveMail,
  type DeadLetterAction,
} from '../../api/ops/mail/dead-letters.service.js';
import { readMailHistory, readMailTimeline } from '../../api/ops/mail/mail-timeline.service.js';
import { liftSuppression, listSuppressions } from '../../api/ops/mail/suppressions.service.js';
import { readUuid } from '../../shared/database/ids.js';
import { bulkCommands, bulkOptions, decideAboutMany } from './mail-bulk.js';
import {
  nextPage,
  optionOf,
  pageOptions,
  pageRequestOf,
  UsageError,
  type Arguments,
  type ArgumentSpec,
  type Command,
  type CommandResult,
} from '../command.js';
import {
  describeDeadLetters,
  describeGroups,
  describeHistory,
  describeTimeline,
} from './mail-text.js';
import { columns, timeText } from '../text.js';
import { causeOfCommand, readAddress, reasonOption, withTools } from '../tools.js';

const addressArgument: ArgumentSpec = { name: 'ADDRESS', summary: 'an e-mail address' };
const idArgument: ArgumentSpec = {
  name: 'ID',
  summary: 'the id of a mail, which `mail dead` lists',
  isOptional: true,
};

/** The history of mails, dead letters and suppressions. */
export const mailCommands: readonly Command[] = [
  {
    name: 'mail show',
    arguments: [{ name: 'ADDRESS', summary: 'an e-mail address, or the id of a mail' }],
    summary: 'shows the history of every mail to an address, or of one mail',
    run: show,
  },
  {
    name: 'mail dead',
    summary: 'lists the dead letters, and the mails that were perhaps sent',
    run: dead,
  },
  {
    name: 'mail causes',
    summary: 'counts the dead letters by their cause, and how many came back after a redrive',
    run: causes,
  },
  {
    name: 'mail redrive',
    arguments: [idArgument],
    options: bulkOptions,
    summary: 'retries a mail that was given up or perhaps sent, or all that match (--all)',
    run: (args) => decideAbout(args, 'redrive'),
  },
  {
    name: 'mail discard',
    arguments: [idArgument],
    options: bulkOptions,
    summary: 'discards such a mail, or all that match (--all); they are never sent',
    run: (args) => decideAbout(args, 'discard'),
  },
  ...bulkCommands,
  {
    name: 'mail suppressed',
    options: [
      { flags: '--prefix <TEXT>', summary: 'the beginning of the address' },
      ...pageOptions,
    ],
    summary: 'lists the suppressed addresses with the reasons',
    run: suppressed,
  },
  {
    name: 'mail unsuppress',
    arguments: [addressArgument],
    options: [reasonOption],
    summary: 'lifts the suppression of an address that bounced or complained',
    run: unsuppress,
  },
];

async function show(args: Arguments): Promise<CommandResult> {
  const [text = ''] = args.words;
  const id = readUuid(text);
  return id === undefined ? showAddress(args, text) : showMail(args, id);
}

async function showAddress(args: Arguments, text: string): Promise<CommandResult> {
  const email = readAddress(text);
  return withTools(args, async (tools) => {
    const timeline = await readMailTimeline(tools, email);
    const { messages, admin, registrations, suppressed: isSuppressed } = timeline;
    if (messages.length === 0 && registrations === 0 && !admin && !isSuppressed)
      throw new Error(`no mail, registration or admin found for ${email.address}`);
    return { lines: describeTimeline(timeline), facts: { ...timeline } };
  });
}

async function showMail(args: Arguments, id: string): Promise<CommandResult> {
  return withTools(args, async (tools) => {
    const history = await readMailHistory(tools, id);
    if (!history) throw new Error('there is no such message');
    return { lines: describeHistory(history), facts: { ...history } };
  });
}

async function dead(args: Arguments): Promise<CommandResult> {
  return withTools(args, async (tools) => {
    const letters = await readDeadLetters(tools);
    return { lines: describeDeadLetters(letters), facts: { ...letters } };
  });
}

async function causes(args: Arguments): Promise<CommandResult> {
  return withTools(args, async (tools) => {
    const groups = await groupDeadLetters(tools);
    return { lines: describeGroups(groups), facts: { groups } };
  });
}

async function decideAbout(args: Arguments, action: DeadLetterAction): Promise<CommandResult> {
  if (args.options['all'] === true) return decideAboutMany(args, action);
  const extra = Object.keys(args.options).find((name) => !['json', 'reason'].includes(name));
  if (extra !== undefined) throw new UsageError(`--${extra} requires --all`);
  const [text] = args.words;
  if (text === undefined) throw new UsageError('expected the id of a mail, or --all');
  const id = readUuid(text);
  if (id === undefined)
    throw new UsageError(`${text} is not the id of a mail; \`mail dead\` lists them`);
  const cause = causeOfCommand(args);
  return withTools(args, async (tools) => {
    if (action === 'redrive') {
      await redriveMail(tools, id, cause);
      return { lines: [`${id} is retried`], facts: { id, redriven: 1 } };
    }
    await discardMail(tools, id, cause);
    return { lines: [`${id} is discarded`], facts: { id, discarded: true } };
  });
}

async function suppressed(args: Arguments): Promise<CommandResult> {
  const request = { ...pageRequestOf(args), prefix: optionOf(args, 'prefix') };
  return withTools(args, async (tools) => {
    const { rows, next } = await listSuppressions(tools, request);
    const cells = rows.map(({ address, reason, since, detail }) => [
      address,
      reason,
      `since ${timeText(since)}`,
      detail ?? '',
    ]);
    return {
      lines:
        rows.length === 0 ? ['no address is suppressed'] : [...columns(cells), ...nextPage(next)],
      facts: { suppressions: rows, next },
    };
  });
}

async function unsuppress(args: Arguments): Promise<CommandResult> {
  const email = readAddress(args.words[0] ?? '');
  const cause = causeOfCommand(args);
  return withTools(args, async (tools) => {
    const reason = await liftSuppression(tools, email, cause);
    return {
      lines: [`${email.address} gets mail again (it was suppressed after a ${reason})`],
      facts: { email: email.address, reason },
    };
  });
}
