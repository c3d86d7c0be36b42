import { Argument, Command as Program, CommanderError, Option } from 'commander';
import { product } from '../shared/config/version.js';
import { UsageError, type Command } from './command.js';

/** A command that was called, with its words and options. */
export interface Call {
  readonly command: Command;
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, string | true | undefined>>;
}

/** What the command line asks for: a command, or a text to print. */
export type Request = { readonly call: Call } | { readonly text: string };

/** What the words before a command's last one are about. */
const groups: Readonly<Record<string, string>> = {
  mail: 'mails: their history, dead letters, suppressed addresses',
  operator: 'the operator role',
  sessions: 'sessions of admins',
  admins: 'admins, and registrations that wait for confirmation',
  users: 'users of all admins',
  logs: 'log lines of this host',
};

const JSON_OPTION = '--json';
const JSON_SUMMARY = 'print the result as one JSON document on stdout';
const EXIT_CODES = `Exit codes: 0 success (doctor: no problem found), 1 failure, 64 wrong usage, 78 unusable configuration.
Audit events are also logged on stderr, one JSON object a line.`;

/** The text of `--help`, which lists every command. */
export function usageOf(commands: readonly Command[]): string {
  const calls = commands.map((command) => callOf(command));
  const width = Math.max(...calls.map((call) => call.length));
  return [
    "Rollcall's command line, for operators.",
    '',
    ...commands.map(({ summary }, i) => `  ${(calls[i] ?? '').padEnd(width)}    ${summary}`),
    '',
    `  ${JSON_OPTION}         ${JSON_SUMMARY}`,
    '  --help         print this text, or the options of a command',
    '  --version      print the version',
    '',
    EXIT_CODES,
    '',
  ].join('\n');
}

/** A command with its arguments, as it is called. */
export function callOf({ name, arguments: specs = [], options = [] }: Command): string {
  const words = specs.map(({ name: word, isOptional }) => (isOptional ? `[${word}]` : word));
  return [name, ...words, ...(options.length > 0 ? ['[OPTIONS]'] : [])].join(' ');
}

/** Reads a command line. @throws {UsageError} */
export function readCommandLine(commands: readonly Command[], argv: readonly string[]): Request {
  const calls: Call[] = [];
  const printed: string[] = [];
  const program = buildProgram(commands, {
    called: (call) => void calls.push(call),
    print: (text) => void printed.push(text),
  });
  try {
    program.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(problemOf(error, argv));
    return { text: printed.join('') };
  }
  const [call] = calls;
  if (!call) throw new UsageError('no command given');
  return { call };
}

function problemOf({ code, message }: CommanderError, argv: readonly string[]): string {
  if (code === 'commander.help')
    return argv.length === 0 ? 'no command given' : `\`${argv.join(' ')}\` is incomplete`;
  // The second line asks whether another command was meant.
  return message.replace(/^error: /, '').replaceAll('\n', ' ');
}

interface Listener {
  called(call: Call): void;
  print(text: string): void;
}

/** The commands as commander knows them, with their help and what the shells complete. */
export function buildProgram(
  commands: readonly Command[],
  { called, print }: Listener = { called: () => undefined, print: () => undefined },
): Program {
  const program = new Program('rollcall')
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => undefined })
    .helpCommand(false)
    .version(product.version, '--version', 'print the version')
    .option(JSON_OPTION, JSON_SUMMARY);
  program.helpInformation = () => usageOf(commands);
  for (const command of commands) addCommand(program, command, called);
  return program;
}

function addCommand(program: Program, command: Command, called: Listener['called']): void {
  const node = nodeOf(program, command.name.split(' ')).description(command.summary);
  for (const { name, summary, isOptional, values } of command.arguments ?? []) {
    const argument = new Argument(isOptional ? `[${name}]` : `<${name}>`, summary);
    node.addArgument(values ? argument.choices(values) : argument);
  }
  for (const { flags, summary, values } of command.options ?? []) {
    const option = new Option(flags, summary);
    node.addOption(values ? option.choices(values) : option);
  }
  // Read by the program, which takes it anywhere; here it is for the help and the shells.
  node.option(JSON_OPTION, JSON_SUMMARY);
  node.action(() => called({ command, words: node.args, options: node.opts() }));
}

/** The command of these words; what leads to it is made as well. */
function nodeOf(parent: Program, [word = '', ...others]: readonly string[]): Program {
  const known = parent.commands.find((each) => each.name() === word);
  const node = known ?? parent.command(word).description(groups[word] ?? '');
  return others.length === 0 ? node : nodeOf(node, others);
}
