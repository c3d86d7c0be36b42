import type { Environment } from '../shared/config/config.js';

/** The result of a command: the same facts for people and for programs. */
export interface CommandResult {
  /** For people. Control characters in untrusted text are escaped when the lines are printed. */
  readonly lines: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
  /** False when the command worked and found a problem. */
  readonly isOk?: boolean;
}

/** Lines that are printed as they come, with `--json` too: each is a document of its own, or one of a table. */
export interface CommandStream {
  readonly stream: AsyncIterable<string>;
}

/** How far a long command is. */
export interface Progress {
  update(done: number): void;
  stop(): void;
}

/** Where a command runs. */
export interface Terminal {
  out(text: string): Promise<void> | void;
  err(text: string): Promise<void> | void;
  /** Shows a bar on a terminal, and nothing anywhere else. */
  progress(total: number, what: string): Promise<Progress>;
  /** Aborts when the user interrupts the command, which then ends by itself. */
  interrupted(): AbortSignal;
  readonly stdin: AsyncIterable<Buffer | string>;
}

/** The words and options after a command's name, and its environment. */
export interface Arguments {
  readonly words: readonly string[];
  /** By their long names in camel case; `true` for one without a value. */
  readonly options: Readonly<Record<string, string | true | undefined>>;
  readonly isJson: boolean;
  readonly env: Environment;
  readonly terminal: Omit<Terminal, 'out' | 'err'>;
  /** Prints a line to stderr at once. Control characters in it are escaped. */
  readonly note: (line: string) => Promise<void> | void;
  /** Prints a log line, which ends with a newline, to stderr when the command ends. */
  readonly logLine: (line: string) => void;
}

export interface ArgumentSpec {
  readonly name: string;
  readonly summary: string;
  readonly isOptional?: boolean;
  /** The only values, which the shell completes. */
  readonly values?: readonly string[];
}

export interface OptionSpec {
  /** `--rate <N>`, or `--all` without a value. */
  readonly flags: string;
  readonly summary: string;
  readonly values?: readonly string[];
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly arguments?: readonly ArgumentSpec[];
  /** Its options besides `--json`. */
  readonly options?: readonly OptionSpec[];
  /** @throws {UsageError} for wrong arguments; any other error when the command failed. */
  run(args: Arguments): Promise<CommandResult | CommandStream>;
}

/** The command line is wrong: exit code 64, and the usage is printed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The value of an option. @throws {UsageError} when it is empty. */
export function optionOf({ options }: Arguments, name: string): string | undefined {
  const value = options[name];
  if (value === '') throw new UsageError(`--${name} needs a value`);
  return value === true ? undefined : value;
}

/** A whole number of at least one. @throws {UsageError} */
export function countOf(args: Arguments, name: string, max: number): number | undefined {
  const text = optionOf(args, name);
  if (text === undefined) return undefined;
  const count = Number(text);
  if (/^\d{1,10}$/.test(text) && count >= 1 && count <= max) return count;
  throw new UsageError(`--${name} must be a whole number from 1 to ${max}`);
}

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;

/** How listings are paged. */
export const pageOptions: readonly OptionSpec[] = [
  {
    flags: '--limit <N>',
    summary: `rows per page, up to ${MAX_LIMIT} (default ${DEFAULT_LIMIT})`,
  },
  { flags: '--cursor <CURSOR>', summary: 'start of the page, as printed by the previous one' },
];

/** @throws {UsageError} */
export const pageRequestOf = (args: Arguments) => ({
  limit: countOf(args, 'limit', MAX_LIMIT) ?? DEFAULT_LIMIT,
  cursor: optionOf(args, 'cursor'),
});

/** The line that leads to the next page. */
export const nextPage = (next: string | null): string[] =>
  next === null ? [] : ['', `More: --cursor ${next}`];
