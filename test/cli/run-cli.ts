import { runCommandLine, type Outcome } from '../../cli/run.js';
import { isServerHere } from '../helpers/bound-models.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { environment, type Overrides } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';

/** Runs the operators' command line as a process of its own. */
export async function runCliProcess(
  scope: Scope,
  context: TestContext,
  args: readonly string[],
  overrides: Overrides = {},
): Promise<Outcome> {
  const program = startProgram('dist/cli/main.js', environment(context, overrides), scope, args);
  const { code } = await program.waitForExit();
  return { code: code ?? -1, stdout: program.stdout(), stderr: program.stderr() };
}

/**
 * Runs it within the test's own process, where a start costs more than what most commands do; beside a server in the same
 * process, as a process of its own, since both would bind the models to their pool.
 */
export const runCli = (
  context: TestContext,
  args: readonly string[],
  overrides: Overrides = {},
): Promise<Outcome> =>
  isServerHere()
    ? runCliProcess(context, context, args, overrides)
    : runCommandLine(args, environment(context, overrides));

/** The same with `--json`. @throws unless stdout is one JSON document, and nothing else. */
export async function runCliJson(
  context: TestContext,
  args: readonly string[],
  overrides: Overrides = {},
): Promise<Outcome & { readonly json: Readonly<Record<string, unknown>> }> {
  const result = await runCli(context, [...args, '--json'], overrides);
  return { ...result, json: JSON.parse(result.stdout) as Record<string, unknown> };
}
