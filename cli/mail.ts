import { randomUUID } from 'node:crypto';
import { MAX_RATE, runBulkAction, startBulkAction } from '../api/ops/bulk-actions.service.js';
import { discardMail, readDeadLetters, redriveMail } from '../api/ops/dead-letters.service.js';
import { readMailTimeline } from '../api/ops/mail-timeline.service.js';
import { liftSuppression } from '../api/ops/suppressions.service.js';
import {
  refuseArguments,
  onlyArgument,
  UsageError,
  type CommandResult,
  type Arguments,
  type Command,
} from './command.js';
import { describeDeadLetters, describeTimeline } from './mail-text.js';
import { causeOfCommand, readAddress, withTools } from './tools.js';

/** The history of mails, dead letters and suppressions. */
export const mailCommands: readonly Command[] = [
  {
    name: 'mail show',
    usage: 'ADDRESS',
    summary: 'shows the history of every mail to an address',
    run: show,
  },
  {
    name: 'mail dead',
    summary: 'lists the dead letters, and the mails that were perhaps sent',
    run: dead,
  },
  {
    name: 'mail redrive',
    usage: 'ID | --all [--rate N]',
    summary: 'retries a mail of that list, or all dead letters, N a second (default 10)',
    options: ['all', 'rate'],
    run: redrive,
  },
  {
    name: 'mail discard',
    usage: 'ID',
    summary: 'discards a mail of that list: it is never retried',
    run: discard,
  },
  {
    name: 'mail unsuppress',
    usage: 'ADDRESS',
    summary: 'lifts the suppression of an address that bounced or complained',
    run: unsuppress,
  },
];

async function show(args: Arguments): Promise<CommandResult> {
  const email = readAddress(onlyArgument(args, 'address'));
  return withTools(args, async (tools) => {
    const timeline = await readMailTimeline(tools, email);
    const { messages, admin, registrations, suppressed } = timeline;
    if (messages.length === 0 && registrations === 0 && !admin && !suppressed)
      throw new Error(`nothing is known of ${email.address}: no mail, no admin`);
    return { lines: describeTimeline(timeline), facts: { ...timeline } };
  });
}

async function dead(args: Arguments): Promise<CommandResult> {
  refuseArguments(args);
  return withTools(args, async (tools) => {
    const letters = await readDeadLetters(tools);
    return { lines: describeDeadLetters(letters), facts: { ...letters } };
  });
}

const DEFAULT_RATE = 10;

async function redrive(args: Arguments): Promise<CommandResult> {
  if (!args.all && args.rate !== undefined) throw new UsageError('--rate goes with --all');
  if (!args.all) {
    const id = readId(args);
    return withTools(args, async (tools) => {
      await redriveMail(tools, id, causeOfCommand());
      return { lines: [`${id} is tried again`], facts: { id, redriven: 1 } };
    });
  }
  refuseArguments(args);
  const rate = readRate(args.rate);
  return withTools(args, async (tools) => {
    const runner = randomUUID();
    const filter = { state: 'dead' } as const;
    const started = await startBulkAction(
      tools,
      { action: 'redrive', filter, rate },
      causeOfCommand(),
      runner,
    );
    const { signal } = new AbortController();
    const { done: count } = await runBulkAction(tools, started.id, {
      runner,
      signal,
      follows: true,
    });
    const text =
      count === 0
        ? 'no mail has been given up'
        : `${count} ${count === 1 ? 'mail is' : 'mails are'} tried again, ${rate} a second`;
    return { lines: [text], facts: { redriven: count, rate } };
  });
}

async function discard(args: Arguments): Promise<CommandResult> {
  const id = readId(args);
  return withTools(args, async (tools) => {
    await discardMail(tools, id, causeOfCommand());
    return { lines: [`${id} is discarded`], facts: { id, discarded: true } };
  });
}

async function unsuppress(args: Arguments): Promise<CommandResult> {
  const email = readAddress(onlyArgument(args, 'address'));
  return withTools(args, async (tools) => {
    const reason = await liftSuppression(tools, email, causeOfCommand());
    return {
      lines: [`mail goes to ${email.address} again (there was none after a ${reason})`],
      facts: { email: email.address, reason },
    };
  });
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function readId(args: Arguments): string {
  const id = onlyArgument(args, 'id, or --all');
  if (!UUID.test(id))
    throw new UsageError(`${id} is not the id of a mail; \`mail dead\` lists them`);
  return id.toLowerCase();
}

function readRate(text: string | undefined): number {
  if (text === undefined) return DEFAULT_RATE;
  const rate = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && rate > 0 && rate <= MAX_RATE) return rate;
  throw new UsageError(`--rate is a number of mails a second, up to ${MAX_RATE}`);
}
