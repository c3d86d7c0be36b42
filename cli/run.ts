import { ConfigError, EXIT_CONFIG, type Environment } from '../shared/config/config.js';
import { messageOf } from '../shared/errors/message-of.js';
import { escapeControls } from '../shared/escape-controls.js';
import { UsageError, type Terminal } from './command.js';
import { complete, isCompletion } from './commands/completion.js';
import { commands, completableCommands } from './commands/index.js';
import { readCommandLine, usageOf, type Call } from './program.js';

const EXIT_FAILED = 1;
const EXIT_USAGE = 64;

/** What a call has printed, and its exit code. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in `argv` with the configuration in `env`, and keeps what it prints. Never rejects. */
export async function runCommandLine(argv: readonly string[], env: Environment): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const code = await runInTerminal(argv, env, {
    out: (text) => void (stdout += text),
    err: (text) => void (stderr += text),
    progress: async () => ({ update: () => undefined, stop: () => undefined }),
    interrupted: () => new AbortController().signal,
    stdin: process.stdin,
  });
  return { code, stdout, stderr };
}

/**
 * Runs the command in `argv`, which prints what it finds while it finds it; resolves to the exit code. Never rejects: errors are
 * printed.
 */
export async function runInTerminal(
  argv: readonly string[],
  env: Environment,
  terminal: Terminal,
): Promise<number> {
  const isJson = argv.includes('--json');
  try {
    if (isCompletion(argv)) {
      await complete(completableCommands, argv.slice(1));
      return 0;
    }
    const request = readCommandLine(commands, argv);
    if ('text' in request) {
      await terminal.out(request.text);
      return 0;
    }
    return await runCall(request.call, { isJson, env, terminal });
  } catch (error) {
    const problem = messageOf(error);
    const code = exitCodeOf(error);
    if (isJson) await terminal.out(printable([JSON.stringify({ ok: false, problem })]));
    else if (error instanceof ConfigError) await terminal.err(printable(problem.split('\n')));
    else {
      const usage = code === EXIT_USAGE ? `\n${usageOf(commands)}` : '';
      await terminal.err(`${printable([problem])}${usage}`);
    }
    return code;
  }
}

interface Circumstances {
  readonly isJson: boolean;
  readonly env: Environment;
  readonly terminal: Terminal;
}

async function runCall(
  { command, words, options }: Call,
  { isJson, env, terminal }: Circumstances,
): Promise<number> {
  const logged: string[] = [];
  const logLine = (line: string): void => void logged.push(line.trimEnd());
  const note = (line: string): Promise<void> | void => terminal.err(printable([line]));
  try {
    const result = await command.run({ words, options, isJson, env, terminal, note, logLine });
    if ('stream' in result) {
      for await (const line of result.stream) await terminal.out(printable([line]));
      return 0;
    }
    const { lines, facts, isOk = true } = result;
    await terminal.out(printable(isJson ? [JSON.stringify({ ok: isOk, ...facts })] : lines));
    return isOk ? 0 : EXIT_FAILED;
  } finally {
    await terminal.err(printable(logged));
  }
}

/** All output passes through here, since any of it may contain untrusted text. */
const printable = (lines: readonly string[]): string =>
  lines.map((line) => `${escapeControls(line)}\n`).join('');

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_USAGE;
  return error instanceof ConfigError ? EXIT_CONFIG : EXIT_FAILED;
}
