import { parseArgs } from 'node:util';
import { escapeControls } from '../shared/html/escape-controls.js';
import { ConfigError, EXIT_CONFIG, type Environment } from '../shared/config/config.js';
import { UsageError, type CommandResult, type Arguments, type Command } from './command.js';
import { doctorCommands } from './doctor.js';
import { mailCommands } from './mail.js';
import { operatorCommands } from './operator.js';
import { sessionCommands } from './sessions.js';
import { stateCommands } from './state.js';

const EXIT_FAILED = 1;
const EXIT_USAGE = 64;

const commands = [
  ...mailCommands,
  ...stateCommands,
  ...doctorCommands,
  ...operatorCommands,
  ...sessionCommands,
];

const USAGE: readonly string[] = [
  "Rollcall's command line, for operators.",
  '',
  ...usageLines(),
  '',
  ...`  --json    print the result as one JSON document on stdout
  --help    print this text

Exit codes: 0 success (doctor: no problem found), 1 failure, 64 wrong usage, 78 unusable configuration.
Audit events are also logged on stderr, one JSON object a line.`.split('\n'),
];

/** What a call prints, and its exit code. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in `argv` with the configuration in `env`. Never rejects: errors are part of the outcome. */
export async function runCommandLine(argv: readonly string[], env: Environment): Promise<Outcome> {
  const isJson = argv.includes('--json');
  const logged: string[] = [];
  // All output passes through here, since any of it may contain foreign text.
  const outcome = (code: number, stdout: readonly string[], problem: readonly string[] = []) => ({
    code,
    stdout: printable(stdout),
    stderr: printable([...logged, ...problem]),
  });
  try {
    const call = parse(argv);
    if (call.values.help) return outcome(0, USAGE);
    const logLine = (line: string): void => void logged.push(line.trimEnd());
    const { lines, facts, isOk = true } = await run(call, env, logLine);
    return outcome(
      isOk ? 0 : EXIT_FAILED,
      isJson ? [JSON.stringify({ ok: isOk, ...facts })] : lines,
    );
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const code = exitCodeOf(error);
    if (isJson) return outcome(code, [JSON.stringify({ ok: false, problem })]);
    if (error instanceof ConfigError) return outcome(code, [], problem.split('\n'));
    return outcome(code, [], [problem, ...(code === EXIT_USAGE ? ['', ...USAGE] : [])]);
  }
}

const printable = (lines: readonly string[]): string =>
  lines.map((line) => `${escapeControls(line)}\n`).join('');

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_USAGE;
  return error instanceof ConfigError ? EXIT_CONFIG : EXIT_FAILED;
}

function run(
  { values, positionals }: ReturnType<typeof parse>,
  env: Environment,
  logLine: Arguments['logLine'],
): Promise<CommandResult> {
  const command = commands.find((each) => isCalled(each, positionals));
  if (!command)
    throw new UsageError(
      positionals.length === 0 ? 'no command given' : `unknown command "${positionals.join(' ')}"`,
    );
  for (const option of ['all', 'rate'] as const) {
    if (values[option] !== undefined && !command.options?.includes(option))
      throw new UsageError(`\`${command.name}\` does not take --${option}`);
  }
  const words = positionals.slice(command.name.split(' ').length);
  return command.run({ words, all: values.all ?? false, rate: values.rate, env, logLine });
}

function isCalled({ name }: Command, positionals: readonly string[]): boolean {
  return name.split(' ').every((word, i) => positionals[i] === word);
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        all: { type: 'boolean' },
        rate: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function usageLines(): string[] {
  const calls = commands.map(({ name, usage = '' }) => `${name} ${usage}`.trim());
  const width = Math.max(...calls.map((call) => call.length));
  return commands.map(({ summary }, i) => `  ${(calls[i] ?? '').padEnd(width)}    ${summary}`);
}
