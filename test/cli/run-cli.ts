import type { Scope, TestContext } from '../helpers/context.js';
import { environment, type Overrides } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';

/** What a command came to. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the operators' command line as a process of its own. */
export async function runCli(
  scope: Scope,
  context: TestContext,
  args: readonly string[],
  overrides: Overrides = {},
): Promise<CliResult> {
  const program = startProgram('dist/cli/main.js', environment(context, overrides), scope, args);
  const { code } = await program.waitForExit();
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

/** The same with `--json`. @throws unless stdout is one JSON document, and nothing else. */
export async function runCliJson(
  scope: Scope,
  context: TestContext,
  args: readonly string[],
  overrides: Overrides = {},
): Promise<CliResult & { readonly json: Readonly<Record<string, unknown>> }> {
  const result = await runCli(scope, context, [...args, '--json'], overrides);
  return { ...result, json: JSON.parse(result.stdout) as Record<string, unknown> };
}
