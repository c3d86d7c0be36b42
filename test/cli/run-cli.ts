import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { runCommandLine, type Outcome } from '../../cli/run.js';
import { projectRoot } from '../../dev/paths.js';
import { isServerHere } from '../helpers/bound-models.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { environment, type Overrides } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';
import type { Call } from './cli-server.js';

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
 * process, in one other process for all commands of the file, since both would bind the models to their pool.
 */
export const runCli = (
  context: TestContext,
  args: readonly string[],
  overrides: Overrides = {},
): Promise<Outcome> =>
  isServerHere()
    ? runApart(context, { args, env: environment(context, overrides) })
    : runCommandLine(args, environment(context, overrides));

let apart: ChildProcess | undefined;
let lastCall: Promise<unknown> = Promise.resolve();

function runApart(context: TestContext, call: Call): Promise<Outcome> {
  const server = (apart ??= startCliServer(context));
  const outcome = lastCall.then(async () => {
    server.send(call);
    return ((await once(server, 'message')) as [Outcome])[0];
  });
  lastCall = outcome;
  return outcome;
}

function startCliServer(context: TestContext): ChildProcess {
  const server = fork(join(projectRoot, 'dist/test/cli/cli-server.js'), {
    execArgv: [],
    env: environment(context),
  });
  const exited = once(server, 'exit');
  context.teardown(async () => {
    server.disconnect();
    await exited;
  });
  return server;
}

/** The same with `--json`. @throws unless stdout is one JSON document, and nothing else. */
export async function runCliJson(
  context: TestContext,
  args: readonly string[],
  overrides: Overrides = {},
): Promise<Outcome & { readonly json: Readonly<Record<string, unknown>> }> {
  const result = await runCli(context, [...args, '--json'], overrides);
  return { ...result, json: JSON.parse(result.stdout) as Record<string, unknown> };
}
