import test, { type ExecutionContext } from 'ava';
import { migrations } from '../../migrations/index.js';
import { useContext } from '../helpers/context.js';
import { environment, productionEnvironment } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';

const context = useContext();
const newest = migrations.at(-1)?.name;

for (const nodeEnv of ['production', 'test', undefined]) {
  test.serial(
    `a script takes the newest migration back and applies it again, NODE_ENV ${nodeEnv}`,
    async (t) => {
      for (const [args, done] of [
        [['down'], 'took back'],
        [['up'], 'applied'],
      ] as const) {
        const { code, stdout, stderr } = await run(t, args, nodeEnv);
        t.deepEqual([code, stdout], [0, `${done} ${newest}\n`], stderr);
        t.is(await isApplied(), done === 'applied');
      }
    },
  );
}

test.serial('any other word is refused, and changes nothing', async (t) => {
  for (const args of [['down', '--yes'], ['up', 'down'], ['sideways'], ['--yes']]) {
    const { code, stderr } = await run(t, args, 'test');
    t.is(code, 64, args.join(' '));
    t.regex(stderr, /^usage: /);
  }
  t.true(await isApplied());
});

async function run(t: ExecutionContext, args: readonly string[], nodeEnv: string | undefined) {
  const env = environment(context, { ...productionEnvironment(), NODE_ENV: nodeEnv });
  const program = startProgram('dist/migrations/run.js', env, t, args);
  const { code } = await program.waitForExit();
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

async function isApplied(): Promise<boolean> {
  const rows = await context.rows('select from schema_migrations where name = $1', [newest]);
  return rows.length === 1;
}
