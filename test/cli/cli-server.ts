import { runCommandLine } from '../../cli/run.js';

/** A call of the command line. */
export interface Call {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

// Runs one command after another, each as a message from the parent process, and ends with it.

let last: Promise<unknown> = Promise.resolve();
process.on('message', ({ args, env }: Call) => {
  last = last.then(async () => process.send?.(await runCommandLine(args, env)));
});
process.on('disconnect', () => process.exit(0));
