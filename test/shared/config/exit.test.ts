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

for (const script of ['dist/api/main.js', 'dist/workers/main.js']) {
  test(`node ${script}: a spool that cannot be made ends it with 78, by name`, async (t) => {
    const env = {
      NODE_ENV: 'test',
      SECRET_KEY: 'a key',
      DATABASE_URL: 'postgres://someone@127.0.0.1:1/rollcall',
      REDIS_URL: 'redis://127.0.0.1:1',
      MAIL_HOST: '127.0.0.1',
      MAIL_FROM: 'no-reply@rollcall.test',
      FIREHOSE_DELIVERY_STREAM: 'stream',
      AWS_REGION: 'eu-central-1',
      // Below a file nothing can be made, not even by root.
      SPOOL_DIR: `${process.execPath}/spool`,
    };
    const running = startProgram(script, env, t);
    t.deepEqual(await running.waitForExit(), { code: 78, signal: null });
    t.is(running.stdout(), '');
    t.regex(running.stderr(), /^ {2}SPOOL_DIR: \S/m);
    t.false(running.stderr().includes(env.SPOOL_DIR));
  });
}
