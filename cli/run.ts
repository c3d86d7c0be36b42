import { parseArgs } from 'node:util';
import { ConfigError, EXIT_CONFIG, type Environment } from '../shared/config/config.js';
import { UsageError, type Answer, type Arguments, type Command } from './command.js';
import { doctorCommands } from './doctor.js';
import { escapeControls } from './escape-controls.js';
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
  ...`  --json    answer with one JSON document on stdout
  --help    this text

Exit code 0 only when it did what was asked (doctor: when all is well), 1 when it could not, 64 when it was not
understood, 78 without a usable configuration. What the audit records is told on stderr, one JSON object a line.`.split(
    '\n',
  ),
];

/** What a call came to: what it says, and the exit code that tells it to programs. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Does what the arguments ask for, with the configuration in `env`. Never rejects: what went wrong is in the outcome. */
export async function runCommandLine(argv: readonly string[], env: Environment): Promise<Outcome> {
  const isJson = argv.includes('--json');
  const told: string[] = [];
  // The one way out, for text that came from outside too.
  const outcome = (code: number, stdout: readonly string[], problem: readonly string[] = []) => ({
    code,
    stdout: written(stdout),
    stderr: written([...told, ...problem]),
  });
  try {
    const asked = parse(argv);
    if (asked.values.help) return outcome(0, USAGE);
    const tell = (line: string): void => void told.push(line.trimEnd());
    const { lines, facts, isOk = true } = await run(asked, env, tell);
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

const written = (lines: readonly string[]): string =>
  lines.map((line) => `${escapeControls(line)}\n`).join('');

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_USAGE;
  return error instanceof ConfigError ? EXIT_CONFIG : EXIT_FAILED;
}

function run(
  { values, positionals }: ReturnType<typeof parse>,
  env: Environment,
  tell: Arguments['tell'],
): Promise<Answer> {
  const command = commands.find((each) => isCalled(each, positionals));
  if (!command)
    throw new UsageError(
      positionals.length === 0
        ? 'say what to do'
        : `there is no command "${positionals.join(' ')}"`,
    );
  for (const option of ['all', 'rate'] as const) {
    if (values[option] !== undefined && !command.options?.includes(option))
      throw new UsageError(`\`${command.name}\` knows no --${option}`);
  }
  const words = positionals.slice(command.name.split(' ').length);
  return command.run({ words, all: values.all ?? false, rate: values.rate, env, tell });
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
  const calls = commands.map(({ name, takes = '' }) => `${name} ${takes}`.trim());
  const width = Math.max(...calls.map((call) => call.length));
  return commands.map(({ does }, i) => `  ${(calls[i] ?? '').padEnd(width)}    ${does}`);
}
