import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { projectRoot } from '../../dev/paths.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';
import { runCliProcess } from './run-cli.js';

shareProcess();

const context = useContext();
const preload = pathToFileURL(join(projectRoot, 'dist/test/cli/programs/two-addresses.js')).href;
const overrides = {
  NODE_OPTIONS: `--import=${preload}`,
  DATABASE_URL: 'postgres://nobody:x@two-addresses.test:1/none',
  REDIS_URL: 'redis://two-addresses.test:1',
};
/** In other words where there is no IPv6, and on a busy machine, where Node waits 250 ms for the first one. */
const BOTH = /^connect E[A-Z]+ 127\.0\.0\.1:1; connect E[A-Z]+ ::1:1\b/;

test('a host of two addresses, neither of which answers, is told of by the command line', async (t) => {
  const { code, stderr } = await runCliProcess(t, context, ['outbox'], overrides);
  t.is(code, 1);
  t.regex(stderr, BOTH);
});

test('a host of two addresses is told of by the migrations', async (t) => {
  const env = environment(context, overrides);
  const program = startProgram('dist/migrations/run.js', env, t, ['up']);
  t.deepEqual(await program.waitForExit(), { code: 1, signal: null });
  t.regex(program.stderr(), BOTH);
});

test('a host of two addresses is told of by the doctor', async (t) => {
  const { stdout } = await runCliProcess(t, context, ['doctor', '--json'], overrides);
  const { checks } = JSON.parse(stdout) as { checks: { check: string; found: string }[] };
  for (const name of ['postgres', 'redis'])
    t.regex(checks.find(({ check }) => check === name)?.found ?? '', BOTH, name);
});
