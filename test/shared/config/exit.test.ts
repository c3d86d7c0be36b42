import test from 'ava';
import { startProgram } from '../../helpers/processes.js';

const CANARY = 'hunter2-canary';

for (const script of ['dist/api/main.js', 'dist/workers/main.js', 'dist/migrations/run.js']) {
  test(`node ${script}: an unusable environment ends it with 78, faults by name, values nowhere`, async (t) => {
    const env = {
      SECRET_KEY: CANARY,
      DATABASE_URL: `mysql://root:${CANARY}@db.test/x`,
      REDIS_URL: `http://:${CANARY}@redis.test`,
      POSTGRES_POOL_MAX: CANARY,
    };
    const running = startProgram(script, env, t);
    t.deepEqual(await running.waitForExit(), { code: 78, signal: null });
    t.is(running.stdout(), '');
    const [title, ...faults] = running.stderr().trimEnd().split('\n');
    t.is(title, 'The configuration is unusable:');
    for (const fault of faults) t.regex(fault, /^ {2}[A-Z_]+: \S/);
    const expected = [
      'DATABASE_URL',
      'POSTGRES_POOL_MAX',
      ...(script.includes('migrations') ? [] : ['REDIS_URL']),
    ];
    for (const name of expected) t.true(running.stderr().includes(`  ${name}: `), name);
    t.false(running.stderr().includes(CANARY));
  });
}
