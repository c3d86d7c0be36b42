import { parseArgs } from 'node:util';
import { UsageError, type Answer, type Command } from './command.js';
import { doctorCommands } from './doctor.js';
import { mailCommands } from './mail.js';
import { operatorCommands } from './operator.js';
import { stateCommands } from './state.js';

const EXIT_FAILED = 1;
const EXIT_USAGE = 64;

const commands = [...mailCommands, ...stateCommands, ...doctorCommands, ...operatorCommands];

const USAGE = `Rollcall's command line, for operators.

${usageLines().join('\n')}

  --json    answer with one JSON document
  --help    this text

Exit code 0 only when it did what was asked (doctor: when all is well), 1 when it could not, 64 when it was not
understood, 78 without a usable configuration.
`;

const isJson = process.argv.includes('--json');
try {
  const asked = parse();
  if (asked.values.help) process.stdout.write(USAGE);
  else tell(await run(asked));
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.exitCode = isUsage ? EXIT_USAGE : EXIT_FAILED;
  const problem = error instanceof Error ? error.message : String(error);
  if (isJson) process.stdout.write(`${JSON.stringify({ ok: false, problem })}\n`);
  else process.stderr.write(isUsage ? `${problem}\n\n${USAGE}` : `${problem}\n`);
}

function run({ values, positionals }: ReturnType<typeof parse>): Promise<Answer> {
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
  return command.run({ words, all: values.all ?? false, rate: values.rate });
}

function isCalled({ name }: Command, positionals: readonly string[]): boolean {
  return name.split(' ').every((word, i) => positionals[i] === word);
}

function tell({ text, facts, isOk = true }: Answer): void {
  process.stdout.write(isJson ? `${JSON.stringify({ ok: isOk, ...facts })}\n` : `${text}\n`);
  if (!isOk) process.exitCode = EXIT_FAILED;
}

function parse() {
  try {
    return parseArgs({
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
