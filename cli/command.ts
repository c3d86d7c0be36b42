import type { Environment } from '../shared/config/config.js';

/** What a command answers: the same facts for people and for programs. */
export interface Answer {
  /** For people. What a line holds of foreign text begins no line of its own. */
  readonly lines: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
  /** False when the command has found what it was asked for, and that is not well. */
  readonly isOk?: boolean;
}

/** What follows a command's name, and the environment that it is called in. */
export interface Arguments {
  readonly words: readonly string[];
  readonly all: boolean;
  readonly rate: string | undefined;
  /** Where the configuration comes from. */
  readonly env: Environment;
  /** Takes log lines, each with its newline. */
  readonly tell: (line: string) => void;
}

/** One command: its name, how it is called, what it does. */
export interface Command {
  readonly name: string;
  /** What follows the name, as the usage shows it. */
  readonly takes?: string;
  readonly does: string;
  /** The options that it knows, besides `--json`. */
  readonly options?: readonly ('all' | 'rate')[];
  /**
   * Does it.
   * @throws {UsageError} when it cannot be called so; any other error when it could not be done.
   */
  run(args: Arguments): Promise<Answer>;
}

/** The command was called in a way that it does not know. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The one word that must follow the command. @throws {UsageError} */
export function onlyWord({ words }: Arguments, what: string): string {
  const [word, ...others] = words;
  if (word === undefined || others.length > 0) throw new UsageError(`give one ${what}`);
  return word;
}

/** For commands that nothing follows. @throws {UsageError} */
export function noWords({ words }: Arguments): void {
  if (words.length > 0) throw new UsageError(`"${words.join(' ')}" means nothing here`);
}
