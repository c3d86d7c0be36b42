import { loadQueueToolConfig } from '../../shared/config/config.js';
import { countOf, optionOf, type Arguments, type Command, type CommandStream } from '../command.js';
import { fileLines, spoolLines, streamLines, type TailOptions } from './log-sources.js';

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** Log lines of this host. */
export const logCommands: readonly Command[] = [
  {
    name: 'logs tail',
    arguments: [
      {
        name: 'FILE',
        summary: 'a file with the stdout of a process, or - for stdin; without it, the spool',
        isOptional: true,
      },
    ],
    options: [
      {
        flags: '--lines <N>',
        summary:
          'how many earlier lines to print, counted after --level, up to 10,000 (default 10); a file is searched 256 MiB back',
      },
      { flags: '--level <LEVEL>', summary: 'only lines of this level and above', values: levels },
      { flags: '--once', summary: 'print the earlier lines and exit' },
    ],
    summary:
      'follows the log lines of this host: a file, stdin, or the lines waiting to be shipped',
    run: tail,
  },
];

const DEFAULT_LINES = 10;
const MAX_LINES = 10_000;

/** Says on stderr where it reads; with `--json` each line is printed as it was written. */
async function tail(args: Arguments): Promise<CommandStream> {
  const least = levels.indexOf((optionOf(args, 'level') ?? 'trace') as (typeof levels)[number]);
  const options: TailOptions = {
    isShown: (line) => isOfLevel(line, least),
    lines: countOf(args, 'lines', MAX_LINES) ?? DEFAULT_LINES,
    follows: args.options['once'] !== true,
    signal: args.terminal.interrupted(),
  };
  const lines = await linesOf(args, options);
  return { stream: shown(lines, args.isJson) };
}

async function linesOf(args: Arguments, options: TailOptions): Promise<AsyncIterable<string>> {
  const [file] = args.words;
  if (file === '-') return streamLines(args.terminal.stdin, options);
  if (file !== undefined) {
    await args.note(`from ${file}`);
    return fileLines(file, options);
  }
  const { spool } = loadQueueToolConfig(args.env);
  if (!spool)
    throw new Error(
      'without FIREHOSE_DELIVERY_STREAM log lines go to stdout alone: name a file that has them, or - for stdin',
    );
  await args.note(
    `from the spool of this host, ${spool.dir}: lines waiting to be shipped. stdout has all lines.`,
  );
  return spoolLines(spool.dir, options);
}

/** What is no line of ours, such as a stack trace, is of every level. */
function isOfLevel(line: string, least: number): boolean {
  const fields = parsed(line);
  const level = (levels as readonly string[]).indexOf(String(fields?.['log.level']));
  return fields === undefined || level >= least;
}

async function* shown(lines: AsyncIterable<string>, isJson: boolean): AsyncGenerator<string> {
  for await (const line of lines) {
    const fields = isJson ? undefined : parsed(line);
    yield fields ? describe(fields) : line;
  }
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // Not a line of ours, such as a stack trace of Node itself.
    return undefined;
  }
}

/** What each line has, or would fill the screen. */
const left = new Set([
  ...['@timestamp', 'log.level', 'message', 'service.name', 'service.version', 'event.id'],
  ...['service.environment', 'host.name', 'process.pid', 'error.stack_trace', 'ecs.version'],
]);

function describe(fields: Record<string, unknown>): string {
  const text = (name: string): string => textOf(fields[name] ?? '');
  const others = Object.entries(fields)
    .filter(([name]) => !left.has(name))
    .map(([name, value]) => `${name}=${textOf(value)}`);
  return [
    text('@timestamp'),
    text('log.level').toUpperCase().padEnd(5),
    text('service.name').replace('rollcall-', '').padEnd(6),
    text('message'),
    ...others,
  ].join('  ');
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);
