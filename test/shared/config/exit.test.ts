import { createServer } from 'node:http';
import test from 'ava';
import { ConfigError } from '../../../shared/config/config.js';
import { closeServer, listen } from '../../../shared/lifecycle/http-server.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { environment, randomSecret } from '../../helpers/env.js';
import { startProgram } from '../../helpers/processes.js';
import { api, base, worker } from './reading.js';

shareProcess();

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

/** Enough to start on; nothing listens there. */
const alone = {
  NODE_ENV: 'test',
  SECRET_KEY: 'a key',
  DATABASE_URL: 'postgres://someone@127.0.0.1:1/rollcall',
  REDIS_URL: 'redis://127.0.0.1:1',
  MAIL_HOST: '127.0.0.1',
  MAIL_FROM: 'no-reply@rollcall.test',
};

for (const script of ['dist/api/main.js', 'dist/workers/main.js']) {
  // Nothing can be made there, not even by root.
  for (const [where, dir] of [
    ['below a file', `${process.execPath}/spool`],
    ['in /proc', '/proc/rollcall/spool'],
    ['in /sys', '/sys/rollcall'],
  ] as const) {
    test(`node ${script}: a spool ${where} ends it with 78, by name`, async (t) => {
      const stream = { FIREHOSE_DELIVERY_STREAM: 'stream', AWS_REGION: 'eu-central-1' };
      const running = startProgram(script, { ...alone, ...stream, SPOOL_DIR: dir }, t);
      t.deepEqual(await running.waitForExit(), { code: 78, signal: null });
      t.is(running.stdout(), '');
      t.regex(running.stderr(), /^ {2}SPOOL_DIR: \S/m);
      t.false(running.stderr().includes(dir));
    });
  }

  test(`node ${script}: an address of another host ends it, and the log names its variables, and one that is misspelt`, async (t) => {
    const env = { ...alone, HOST: '192.0.2.1', PORT: '0', WORKER_PORT: '0', LOG_LEVLE: CANARY };
    const running = startProgram(script, env, t);
    t.deepEqual(await running.waitForExit(), { code: 1, signal: null });
    const warnings = running
      .logLines()
      .filter(({ message }) => message === 'unknown environment variables');
    t.deepEqual(
      warnings.map((line) => line['labels.variables']),
      ['LOG_LEVLE (LOG_LEVEL?)'],
    );
    t.false(running.stdout().includes(CANARY));
    const port = script.includes('workers') ? 'WORKER_PORT' : 'PORT';
    t.regex(
      running.stdout(),
      new RegExp(String.raw`"error.message":"cannot listen on HOST and ${port}: [^"]*192\.0\.2\.1`),
    );
  });
}

test('a port of the console that is taken ends the API, and the log names OPS_PORT', async (t) => {
  const taken = createServer();
  const port = await listen(taken, 0, '127.0.0.1');
  t.teardown(() => closeServer(taken, 0));
  const env = { ...alone, HOST: '127.0.0.1', PORT: '0', OPS_PORT: String(port) };
  const running = startProgram('dist/api/main.js', env, t);
  t.deepEqual(await running.waitForExit(), { code: 1, signal: null });
  t.regex(
    running.stdout(),
    /"error.message":"cannot listen on OPS_HOST and OPS_PORT: [^"]*EADDRINUSE/,
  );
});

const context = useContext();

test('an IPv6 host in DATABASE_URL loses its brackets', (t) => {
  t.like(api({ DATABASE_URL: 'postgres://u:p@[::1]:6000/d' }).database, {
    host: '::1',
    port: 6000,
  });
});

test('a raw % in a URL is a fault that says how to write it', (t) => {
  for (const [name, text] of [
    ['DATABASE_URL', 'postgres://u:50%off@h/d'],
    ['REDIS_URL', 'redis://u:50%off@h'],
  ] as const) {
    const error = t.throws(() => api({ [name]: text }), { instanceOf: ConfigError });
    t.regex(error?.message ?? '', new RegExp(`${name}: .*%25`));
    t.false(error?.message.includes('off'));
  }
});

test('a process with such a URL ends with 78 and names the variable', async (t) => {
  const env = environment(context, { DATABASE_URL: 'postgres://u:50%off@127.0.0.1/d' });
  const program = startProgram('dist/migrations/run.js', env, t, ['status']);
  t.deepEqual(await program.waitForExit(), { code: 78, signal: null });
  t.regex(program.stderr(), /^ {2}DATABASE_URL: /m);
});

test('only a worker that sends mail must know how', (t) => {
  const without = { MAIL_HOST: '', MAIL_FROM: '' };
  for (const roles of ['relay', 'logs', 'logs,relay'])
    t.notThrows(() => worker({ ...without, WORKER_ROLES: roles }), roles);
  for (const roles of ['mail', 'logs,mail', '']) {
    const error = t.throws(() => worker({ ...without, WORKER_ROLES: roles }), {
      instanceOf: ConfigError,
    });
    t.deepEqual(error?.faults.map(({ variable }) => variable).toSorted(), [
      'MAIL_FROM',
      'MAIL_HOST',
    ]);
  }
});

test('operators are known by the form that identity is decided by', (t) => {
  const { operatorEmails } = api({ OPERATOR_EMAILS: 'Ada@Bücher.example, bob@x.test' });
  t.deepEqual(operatorEmails, ['ada@xn--bcher-kva.example', 'bob@x.test']);
});

test('the sender’s domain goes out in ASCII, the name as it is', (t) => {
  t.deepEqual(worker({ MAIL_FROM: 'Bücher & Co <Info@bücher.example>' }).mail.from, {
    name: 'Bücher & Co',
    address: 'Info@xn--bcher-kva.example',
  });
});

test('the same password in DATABASE_URL and POSTGRES_PASSWORD is no secret shared', (t) => {
  const production = {
    ...base,
    NODE_ENV: 'production',
    PUBLIC_URL: 'https://rollcall.test',
    SECRET_KEY: randomSecret(),
    PASSWORD_PEPPER: randomSecret(),
    POSTGRES_PASSWORD: 'a word',
  };
  t.notThrows(() => api(production));
});
