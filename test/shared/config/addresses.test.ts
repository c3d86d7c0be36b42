import test from 'ava';
import { ConfigError } from '../../../shared/config/config.js';
import { environment, randomSecret } from '../../helpers/env.js';
import { startProgram } from '../../helpers/processes.js';
import { useContext } from '../../helpers/context.js';
import { api, base, worker } from './reading.js';

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
