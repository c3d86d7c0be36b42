import type { Environment } from '../shared/config/config.js';

/** The result of a command: the same facts for people and for programs. */
export interface CommandResult {
  /** For people. Control characters in foreign text are escaped when the lines are printed. */
  readonly lines: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
  /** False when the command worked and found a problem. */
  readonly isOk?: boolean;
}

/** The words and options after a command's name, and its environment. */
export interface Arguments {
  readonly words: readonly string[];
  readonly all: boolean;
  readonly rate: string | undefined;
  readonly env: Environment;
  /** Prints a log line, which ends with a newline, to stderr. */
  readonly logLine: (line: string) => void;
}

export interface Command {
  readonly name: string;
  /** Its arguments, as the usage shows them. */
  readonly usage?: string;
  readonly summary: string;
  /** Its options besides `--json`. */
  readonly options?: readonly ('all' | 'rate')[];
  /** @throws {UsageError} for wrong arguments; any other error when the command failed. */
  run(args: Arguments): Promise<CommandResult>;
}

/** The command line is wrong: exit code 64, and the usage is printed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The single argument of a command. @throws {UsageError} */
export function onlyArgument({ words }: Arguments, what: string): string {
  const [word, ...others] = words;
  if (word === undefined || others.length > 0)
    throw new UsageError(`expected exactly one argument: ${what}`);
  return word;
}

/** For commands without arguments. @throws {UsageError} */
export function refuseArguments({ words }: Arguments): void {
  if (words.length > 0) throw new UsageError(`unexpected argument: ${words.join(' ')}`);
}
