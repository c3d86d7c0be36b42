import type { Command } from '../command.js';
import { buildProgram } from '../program.js';

const shells = ['bash', 'zsh', 'fish'] as const;

/** The command that prints the script which a shell loads; it is answered by {@link complete}. */
export const completionCommand: Command = {
  name: 'complete',
  arguments: [{ name: 'SHELL', summary: 'the shell', values: shells }],
  summary: 'prints the script that completes commands: source <(rollcall complete bash)',
  async run({ words }) {
    await complete([], [...words]);
    return { lines: [], facts: {} };
  },
};

/** Whether this is what the script asks while the user types: `rollcall complete -- WORDS`. */
export const isCompletion = ([name, mark]: readonly string[]): boolean =>
  name === 'complete' && mark === '--';

/** Prints, straight to stdout, the script of a shell, or what may follow the words after `--`. */
export async function complete(
  commands: readonly Command[],
  argv: readonly string[],
): Promise<void> {
  const { default: tab } = await import('@bomb.sh/tab/commander');
  const completions = tab(buildProgram(commands));
  const [first = '', ...words] = argv;
  if (first === '--') completions.parse(words);
  else completions.setup('rollcall', 'rollcall', first);
}
