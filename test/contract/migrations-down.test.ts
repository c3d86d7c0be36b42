import test, { type ExecutionContext } from 'ava';
import { migrations } from '../../migrations/index.js';
import { useContext } from '../helpers/context.js';
import { environment, productionEnvironment } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';

const context = useContext();
const newest = migrations.at(-1)?.name;

for (const [what, nodeEnv] of [
  ['in production', 'production'],
  ['where nothing says that it is not production', undefined],
] as const) {
  test.serial(`${what} the newest migration is taken back only with --yes`, async (t) => {
    const refused = await run(t, ['down'], nodeEnv);
    t.is(refused.code, 64);
    t.regex(refused.stderr, /production.*--yes/s);
    t.true(await isApplied());

    const taken = await run(t, ['down', '--yes'], nodeEnv);
    t.deepEqual([taken.code, taken.stdout], [0, `took back ${newest}\n`], taken.stderr);
    t.false(await isApplied());
    t.is((await run(t, ['up'], nodeEnv)).code, 0);
  });
}

test.serial('elsewhere nobody is asked; --yes does no harm', async (t) => {
  for (const args of [['down'], ['up'], ['down', '--yes'], ['up']])
    t.is((await run(t, args, 'test')).code, 0, args.join(' '));
  t.true(await isApplied());
});

test.serial('any other option is refused, and the usage tells of --yes', async (t) => {
  for (const args of [['up', '--yes'], ['down', '--no'], ['down', '--yes', 'all'], ['--yes']]) {
    const { code, stderr } = await run(t, args, 'test');
    t.is(code, 64, args.join(' '));
    t.regex(stderr, /^usage: .*--yes/);
  }
  t.true(await isApplied());
});

async function run(t: ExecutionContext, args: string[], nodeEnv: string | undefined) {
  const env = environment(context, { ...productionEnvironment(), NODE_ENV: nodeEnv });
  const program = startProgram('dist/migrations/run.js', env, t, args);
  const { code } = await program.waitForExit();
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

async function isApplied(): Promise<boolean> {
  const rows = await context.rows('select from schema_migrations where name = $1', [newest]);
  return rows.length === 1;
}
