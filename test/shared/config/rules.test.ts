import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import {
  ConfigError,
  loadApiConfig,
  loadToolConfig,
  loadWorkerConfig,
  type Environment,
} from '../../../shared/config/config.js';
import { defaultOf, variableNames, variables } from '../../../shared/config/variables.js';
import {
  PASSWORD_PEPPER as TEST_PEPPER,
  SECRET_KEY as TEST_KEY,
  randomSecret,
} from '../../helpers/env.js';
import { api, worker } from './reading.js';
import { readings } from './readings.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

/** Published as a default: `PASSWORD_PEPPER` is not required in development. */
const developmentPepper = loadApiConfig({
  NODE_ENV: 'development',
  SECRET_KEY: 'x',
  ...{ DATABASE_URL: 'postgres://u:p@h/d', REDIS_URL: 'redis://h' },
}).passwords.pepper;
/** Thirty-two /8s. */
const eighths = Array.from({ length: 32 }, (_, i) => `${i + 1}.0.0.0/8`).join();

/** A production that may start. */
const production: Environment = {
  PUBLIC_URL: 'https://rollcall.test',
  SECRET_KEY: randomSecret(),
  PASSWORD_PEPPER: randomSecret(),
  POSTGRES_HOST: 'db.test',
  POSTGRES_DB: 'rollcall',
  POSTGRES_USER: 'rollcall',
  POSTGRES_PASSWORD: 'd3Rv9Nx5Hb1Kt7',
  REDIS_URL: 'rediss://redis.test',
  MAIL_HOST: 'email-smtp.eu-west-1.amazonaws.com',
  MAIL_FROM: 'no-reply@rollcall.test',
  MAIL_USERNAME: 'smtp-user',
  MAIL_PASSWORD: 'm8Zc4Wq0Lp6Gy2',
};

test('the environment is production unless NODE_ENV says otherwise', (t) => {
  t.true(loadApiConfig(production).isProduction);
  t.true(loadApiConfig({ ...production, NODE_ENV: 'production' }).isProduction);
  t.false(loadApiConfig({ ...production, NODE_ENV: 'development' }).isProduction);
});

test('production verifies the TLS of PostgreSQL and demands STARTTLS of the mail server', (t) => {
  t.deepEqual(loadApiConfig(production).database.ssl, { rejectUnauthorized: true });
  t.is(loadWorkerConfig(production).mail.tls, 'starttls');
  t.is(loadWorkerConfig({ ...production, MAIL_PORT: '465' }).mail.tls, 'implicit');
});

for (const [what, variable, change] of [
  ['a missing PUBLIC_URL', 'PUBLIC_URL', { PUBLIC_URL: '' }],
  ['a missing pepper', 'PASSWORD_PEPPER', { PASSWORD_PEPPER: undefined }],
  ['bcrypt below cost 10', 'BCRYPT_COST', { BCRYPT_COST: '9' }],
  ['passwords below 8', 'PASSWORD_MIN_LENGTH', { PASSWORD_MIN_LENGTH: '7' }],
  ['looser rate limits', 'RATE_LIMIT_SCALE', { RATE_LIMIT_SCALE: '2' }],
  ['a fail point', 'FAILPOINT', { FAILPOINT: 'after-commit' }],
  ['a key of 31 bytes', 'SECRET_KEY', { SECRET_KEY: randomSecret().slice(0, 31) }],
  [
    'a short earlier key',
    'SECRET_KEY_PREVIOUS',
    { SECRET_KEY_PREVIOUS: `${randomSecret()},short` },
  ],
  ['a short earlier pepper', 'PASSWORD_PEPPER_PREVIOUS', { PASSWORD_PEPPER_PREVIOUS: 'short' }],
  [
    'a placeholder as the key',
    'SECRET_KEY',
    { SECRET_KEY: 'changeme-changeme-changeme-0123456789' },
  ],
  ['the seed project’s key', 'SECRET_KEY', { SECRET_KEY: 'super-secret-key' }],
  ['a long placeholder', 'SECRET_KEY', { SECRET_KEY: 'my_secret_key_that_is_very_long_0123456' }],
  ['one repeated character', 'SECRET_KEY', { SECRET_KEY: 'x'.repeat(64) }],
  ['a plain PUBLIC_URL', 'PUBLIC_URL', { PUBLIC_URL: 'http://rollcall.test' }],
  ['a plain PUBLIC_URL of its own host', 'PUBLIC_URL', { PUBLIC_URL: 'HTTP://localhost:5000' }],
  ['digits in order', 'SECRET_KEY', { SECRET_KEY: '0123456789'.repeat(4) }],
  ['letters in order', 'SECRET_KEY', { SECRET_KEY: 'abcdefghijklmnopqrstuvwxyz012345' }],
  [
    'a walk along the keys',
    'PASSWORD_PEPPER',
    { PASSWORD_PEPPER: 'qwertyuiopasdfghjklzxcvbnm1234567' },
  ],
  ['a key repeated', 'SECRET_KEY', { SECRET_KEY: randomSecret().slice(0, 12).repeat(3) }],
  ['a key of the tests', 'SECRET_KEY', { SECRET_KEY: TEST_KEY }],
  ['a pepper of the tests', 'PASSWORD_PEPPER', { PASSWORD_PEPPER: TEST_PEPPER }],
  ['the pepper of development', 'PASSWORD_PEPPER', { PASSWORD_PEPPER: developmentPepper }],
  [
    'the pepper of development as an earlier one',
    'PASSWORD_PEPPER_PREVIOUS',
    { PASSWORD_PEPPER_PREVIOUS: developmentPepper },
  ],
  ['all of IPv4 as a proxy', 'TRUST_PROXY', { TRUST_PROXY: '0.0.0.0/0' }],
  ['all of IPv6 as a proxy', 'TRUST_PROXY', { TRUST_PROXY: '::/0' }],
  ['everything behind a real proxy', 'TRUST_PROXY', { TRUST_PROXY: '10.0.0.0/8,::/0' }],
  ['half of IPv4, twice', 'TRUST_PROXY', { TRUST_PROXY: '0.0.0.0/1,128.0.0.0/1' }],
  ['all of IPv4 in its mapped form', 'TRUST_PROXY', { TRUST_PROXY: '::ffff:0:0/96' }],
  ['what holds all of the mapped ones', 'TRUST_PROXY', { TRUST_PROXY: '::/80' }],
  ['half of the mapped ones', 'TRUST_PROXY', { TRUST_PROXY: '::ffff:128.0.0.0/97' }],
  ['all of the internet’s IPv6', 'TRUST_PROXY', { TRUST_PROXY: '2000::/3' }],
  ['more than the private half of IPv6', 'TRUST_PROXY', { TRUST_PROXY: 'fc00::/6' }],
  ['IPv4 in many pieces', 'TRUST_PROXY', { TRUST_PROXY: eighths }],
  ['a public /8', 'TRUST_PROXY', { TRUST_PROXY: '8.0.0.0/8' }],
  ['a public /11 in its mapped form', 'TRUST_PROXY', { TRUST_PROXY: '::ffff:8.0.0.0/107' }],
  ['more than a private network', 'TRUST_PROXY', { TRUST_PROXY: '172.16.0.0/11' }],
  ['a registry’s IPv6', 'TRUST_PROXY', { TRUST_PROXY: '2600::/16' }],
  ['an IPv6 /28', 'TRUST_PROXY', { TRUST_PROXY: '2600:9000::/28' }],
  ['IPv4 by way of 6to4', 'TRUST_PROXY', { TRUST_PROXY: '2002::/16' }],
  ['a part of 6to4', 'TRUST_PROXY', { TRUST_PROXY: '2002:800::/32' }],
  ['IPv4 by way of NAT64', 'TRUST_PROXY', { TRUST_PROXY: '64:ff9b::/96' }],
  ['more hops than there are', 'TRUST_PROXY', { TRUST_PROXY: '99' }],
  ['two alternating characters', 'PASSWORD_PEPPER', { PASSWORD_PEPPER: 'ab'.repeat(32) }],
  ['one value for two purposes', 'PASSWORD_PEPPER', { PASSWORD_PEPPER: production['SECRET_KEY'] }],
  [
    'an old key that is also the new one',
    'SECRET_KEY_PREVIOUS',
    { SECRET_KEY_PREVIOUS: production['SECRET_KEY'] },
  ],
  [
    'the key as a database password',
    'POSTGRES_PASSWORD',
    { POSTGRES_PASSWORD: production['SECRET_KEY'] },
  ],
  [
    'the key as the password of Redis',
    'REDIS_URL',
    { REDIS_URL: `rediss://:${production['SECRET_KEY']}@redis.test` },
  ],
  [
    'the key as the password of the logs’ Redis',
    'REDIS_URL_LOGS',
    { REDIS_URL_LOGS: `rediss://:${production['SECRET_KEY']}@logs.test` },
  ],
  [
    'the key as a database password inside a URL',
    'DATABASE_URL',
    { DATABASE_URL: `postgres://u:${production['SECRET_KEY']}@db.test/rollcall` },
  ],
] as const) {
  test(`production refuses ${what}`, (t) => {
    const faults = faultsOf(t, () => loadApiConfig({ ...production, ...change }));
    t.deepEqual(faults, [variable]);
  });

  test(`development takes ${what}`, (t) => {
    t.notThrows(() => loadApiConfig({ ...production, ...change, NODE_ENV: 'development' }));
  });
}

test('production trusts proxies in private networks, and in those of providers', (t) => {
  for (const proxies of [
    ...['0', '1', '3', '127.0.0.1', '10.0.0.0/8', '10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1'],
    ...['fc00::/7', 'fd12:3456::/32', 'fe80::/10', '2a06:98c0::/29', '104.16.0.0/13', '::1'],
    ...[
      '::ffff:10.0.0.0/104',
      '100.64.0.0/10',
      '130.208.0.0/12',
      '2600:9000:3000::/36',
      '127.0.0.0/8, 10.0.0.0/8',
    ],
  ])
    t.notThrows(() => loadApiConfig({ ...production, TRUST_PROXY: proxies }), proxies);
});

test('two databases of one Redis may share its password', (t) => {
  const [mails, logs] = [0, 1].map((db) => `rediss://:p7Xk2Vd9Qs4Zt6@redis.test/${db}`);
  t.notThrows(() => loadApiConfig({ ...production, REDIS_URL: mails, REDIS_URL_LOGS: logs }));
});

test('the console gets a port of its own, unless the two addresses differ', (t) => {
  const ports = { PORT: '7000', OPS_PORT: '7000' };
  for (const [host, opsHost] of [
    ['0.0.0.0', '127.0.0.1'],
    ['10.0.0.1', '0.0.0.0'],
    ['::', '127.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['localhost', '127.0.0.1'],
  ])
    t.deepEqual(
      faultsOf(t, () => loadApiConfig({ ...production, ...ports, HOST: host, OPS_HOST: opsHost })),
      ['OPS_PORT'],
      `${host} and ${opsHost}`,
    );
  t.notThrows(() => loadApiConfig({ ...production, ...ports, HOST: '10.0.0.1' }));
});

test('without any environment every required variable is named at once', (t) => {
  t.deepEqual(faultsOf(t, () => loadApiConfig({})).toSorted(), [
    'PASSWORD_PEPPER',
    'POSTGRES_DB',
    'POSTGRES_HOST',
    'POSTGRES_PASSWORD',
    'POSTGRES_USER',
    'PUBLIC_URL',
    'REDIS_URL',
    'SECRET_KEY',
  ]);
  t.deepEqual(faultsOf(t, () => loadWorkerConfig({})).toSorted(), [
    'MAIL_FROM',
    'MAIL_HOST',
    'POSTGRES_DB',
    'POSTGRES_HOST',
    'POSTGRES_PASSWORD',
    'POSTGRES_USER',
    'PUBLIC_URL',
    'REDIS_URL',
    'SECRET_KEY',
  ]);
});

test('with an invalid NODE_ENV the faults that only production has are reported at once', (t) => {
  const env = { ...production, NODE_ENV: 'prod', PUBLIC_URL: '', SECRET_KEY: 'short' };
  for (const load of [loadApiConfig, loadWorkerConfig])
    t.deepEqual(faultsOf(t, () => load(env)).toSorted(), ['NODE_ENV', 'PUBLIC_URL', 'SECRET_KEY']);
});

test('an invalid DATABASE_URL is one fault: the variables that it replaces are not required', (t) => {
  const {
    POSTGRES_HOST: _,
    POSTGRES_DB: __,
    POSTGRES_USER: ___,
    POSTGRES_PASSWORD: ____,
    ...rest
  } = production;
  t.deepEqual(
    faultsOf(t, () => loadApiConfig({ ...rest, DATABASE_URL: 'nonsense' })),
    ['DATABASE_URL'],
  );
});

test('faults of different kinds are reported together, in reading order, each once', (t) => {
  const env = { ...production, PORT: 'http', BCRYPT_COST: 'high', REDIS_URL: 'http://redis.test' };
  t.deepEqual(faultsOf(t, () => loadApiConfig(env)).toSorted(), [
    'BCRYPT_COST',
    'PORT',
    'REDIS_URL',
  ]);
});

test('what another process would not start with is a fault of this one as well', (t) => {
  const env = { ...production, MAIL_PORT: 'smtp', WORKER_ROLES: 'all', BCRYPT_COST: 'high' };
  const faults = ['BCRYPT_COST', 'MAIL_PORT', 'WORKER_ROLES'];
  t.deepEqual(faultsOf(t, () => loadApiConfig(env)).toSorted(), faults);
  t.deepEqual(faultsOf(t, () => loadWorkerConfig(env)).toSorted(), faults);
  const scaled = { ...production, RATE_LIMIT_SCALE: '2', AWS_KEY: 'k' };
  for (const load of [loadApiConfig, loadWorkerConfig])
    t.deepEqual(faultsOf(t, () => load(scaled)).toSorted(), ['AWS_SECRET', 'RATE_LIMIT_SCALE']);
});

test('half a pair of credentials is a fault of the other half', (t) => {
  const stream = { FIREHOSE_DELIVERY_STREAM: 's', AWS_REGION: 'eu-west-1' };
  t.deepEqual(
    faultsOf(t, () => loadWorkerConfig({ ...production, MAIL_PASSWORD: '' })),
    ['MAIL_PASSWORD'],
  );
  t.deepEqual(
    faultsOf(t, () => loadWorkerConfig({ ...production, MAIL_USERNAME: '' })),
    ['MAIL_USERNAME'],
  );
  t.deepEqual(
    faultsOf(t, () => loadWorkerConfig({ ...production, ...stream, AWS_KEY: 'k' })),
    ['AWS_SECRET'],
  );
  t.deepEqual(
    faultsOf(t, () => loadWorkerConfig({ ...production, ...stream, AWS_SECRET: 's' })),
    ['AWS_KEY'],
  );
  t.deepEqual(
    faultsOf(t, () => loadWorkerConfig({ ...production, FIREHOSE_DELIVERY_STREAM: 's' })),
    ['AWS_REGION'],
  );
  t.deepEqual(
    faultsOf(t, () => loadWorkerConfig({ ...production, METRICS_CLOUDWATCH_NAMESPACE: 'n' })),
    ['AWS_REGION'],
  );
});

test("without keys of our own the stream's credentials are left to the SDK", (t) => {
  const env = { ...production, FIREHOSE_DELIVERY_STREAM: 's', AWS_REGION: 'eu-west-1' };
  t.deepEqual(loadWorkerConfig(env).firehose, {
    stream: 's',
    region: 'eu-west-1',
    credentials: undefined,
  });
});

test('migrations ask for nothing but the database', (t) => {
  t.is(loadToolConfig({ DATABASE_URL: 'postgres://u:p@h/d' }).database.name, 'd');
});

test('what is set otherwise than by default is named, with the value only of what has a default', (t) => {
  const secret = randomBytes(32).toString('hex');
  const env = {
    ...{ BCRYPT_COST: '11', POSTGRES_POOL_MAX: '10', MAIL_RATE: '', LOG_LEVEL: 'warn' },
    ...{
      METRICS_TOKEN: secret,
      OPERATOR_EMAILS: 'ann@example.com',
      PASSWORD_PEPPER_PREVIOUS: secret,
    },
  };
  const expected =
    'NODE_ENV=test SECRET_KEY PASSWORD_PEPPER_PREVIOUS DATABASE_URL REDIS_URL MAIL_HOST MAIL_FROM ' +
    'BCRYPT_COST=11 OPERATOR_EMAILS METRICS_TOKEN LOG_LEVEL=warn';
  t.is(api(env).changedSettings, expected);
  t.is(worker(env).changedSettings, expected);
  const withValue = variableNames.filter((name) => defaultOf(name) !== undefined);
  const secretive = /SECRET|PASSWORD(?!_MIN)|PEPPER|TOKEN(?!_EXPIRES)|URL|KEY|USER|EMAIL/;
  t.deepEqual(
    withValue.filter((name) => secretive.test(name)),
    [],
  );
});

test('a loaded configuration cannot be changed', (t) => {
  t.true(Object.isFrozen(loadApiConfig(production)));
  t.true(Object.isFrozen(loadWorkerConfig(production)));
});

function faultsOf(t: ExecutionContext, load: () => unknown): string[] {
  const error = t.throws(load, { instanceOf: ConfigError });
  return error?.faults.map(({ variable }) => variable) ?? [];
}

test('there is a reading here for every variable', (t) => {
  t.deepEqual(Object.keys(readings).toSorted(), Object.keys(variables).toSorted());
});

for (const [name, { read, good, bad }] of Object.entries(readings)) {
  test(`${name} is read as documented`, (t) => {
    for (const [text, value] of good) t.deepEqual(read(text), value, `${name}=${text}`);
  });

  if (bad.length > 0) {
    test(`${name} is refused by name, and its value never shown`, (t) => {
      for (const text of bad) {
        const error = t.throws(() => read(text), { instanceOf: ConfigError }, `${name}=${text}`);
        t.true(
          error?.faults.some(({ variable }) => variable === name),
          `${name}=${text} is told as ${error?.message}`,
        );
        if (text.length > 3) t.false(error?.message.includes(text), `the message shows ${text}`);
      }
    });
  }

  test(`${name} counts as unset when it is empty`, (t) => {
    const outcome = (text: string | undefined): unknown => {
      try {
        return read(text);
      } catch (error) {
        return error instanceof ConfigError ? error.message : error;
      }
    };
    t.deepEqual(outcome(''), outcome(undefined));
  });
}
