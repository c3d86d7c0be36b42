import test from 'ava';
import { ConfigError, loadApiConfig, loadWorkerConfig } from '../../shared/config/config.js';
import { shareProcess, useContext } from '../helpers/context.js';
import {
  environment,
  PASSWORD_PEPPER as TEST_PEPPER,
  productionEnvironment,
  randomSecret,
  SECRET_KEY as TEST_KEY,
  type Overrides,
} from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';

shareProcess();

const context = useContext();

/** sysexits.h, EX_CONFIG. */
const EXIT_CONFIG = 78;
const strong = productionEnvironment();
const production = {
  ...strong,
  MAIL_USERNAME: 'mailer',
  MAIL_PASSWORD: 'an SMTP password of its own',
};
const GOOD = randomSecret();
const { SECRET_KEY = '', PASSWORD_PEPPER = '' } = strong;

/** What a variable must not hold in production, and what it is. */
const weak: readonly (readonly [what: string, variable: string, value: string | undefined])[] = [
  ['no signing secret', 'SECRET_KEY', undefined],
  ['an empty signing secret', 'SECRET_KEY', ''],
  ['the seed’s first secret', 'SECRET_KEY', 'secret_key'],
  ['the seed’s second secret', 'SECRET_KEY', 'super-secret-key'],
  ['a stand-in', 'SECRET_KEY', 'changeme'],
  ['a long stand-in', 'SECRET_KEY', 'please-change-me-before-you-go-to-production-1234567890'],
  ['a secret of 31 bytes', 'SECRET_KEY', GOOD.slice(0, 31)],
  ['digits in order', 'SECRET_KEY', '0123456789'.repeat(4)],
  ['the secret of the tests', 'SECRET_KEY', TEST_KEY],
  ['the pepper of the tests', 'PASSWORD_PEPPER', TEST_PEPPER],
  ['a plain PUBLIC_URL', 'PUBLIC_URL', 'http://rollcall.test'],
  ['the whole internet as a proxy', 'TRUST_PROXY', '0.0.0.0/0'],
  ['one character many times', 'SECRET_KEY', 'a'.repeat(64)],
  ['the earlier secret as the present one', 'SECRET_KEY_PREVIOUS', SECRET_KEY],
  ['a short earlier secret', 'SECRET_KEY_PREVIOUS', `${GOOD},short-one`],
  ['no pepper', 'PASSWORD_PEPPER', undefined],
  ['the signing secret as the pepper', 'PASSWORD_PEPPER', SECRET_KEY],
  ['a short pepper', 'PASSWORD_PEPPER', 'pepper-0123456789'],
  ['a secret that Elastic Beanstalk alters', 'SECRET_KEY', `${GOOD.slice(1)}$`],
  ['a mail password that Elastic Beanstalk alters', 'MAIL_PASSWORD', 'an SMTP password for $5'],
  ['a short token for the metrics', 'METRICS_TOKEN', 'metrics-0123456789'],
  ['the pepper as the token for the metrics', 'METRICS_TOKEN', PASSWORD_PEPPER],
  ['the pepper as an earlier one', 'PASSWORD_PEPPER_PREVIOUS', PASSWORD_PEPPER],
  ['the signing secret as the SMTP password', 'MAIL_PASSWORD', SECRET_KEY],
  ['the pepper as the AWS secret', 'AWS_SECRET', PASSWORD_PEPPER],
  [
    'the signing secret as the database’s password',
    'DATABASE_URL',
    `postgres://u:${SECRET_KEY}@db.test/x`,
  ],
];

const message = (overrides: Overrides): string => {
  const env = environment(context, { ...production, ...overrides });
  try {
    loadApiConfig(env);
    loadWorkerConfig(env);
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
};

test('S78 production refuses weak, known, repeated and shared secrets, and names the variable but not the value', (t) => {
  t.is(message({}), '', 'the secrets below fail for what they are');
  for (const [what, variable, value] of weak) {
    const said = message({ [variable]: value });
    t.regex(said, new RegExp(`^  ${variable}: \\S`, 'm'), what);
    for (const part of (value ?? '').split(',')) {
      if (part.length > 8) t.false(said.includes(part), what);
    }
  }
});

for (const script of ['dist/api/main.js', 'dist/workers/main.js']) {
  test.serial(
    `S78 ${script} takes itself for production, and ends at once when that is not what it is fit for`,
    async (t) => {
      const env = environment(context, {
        ...production,
        NODE_ENV: undefined,
        SECRET_KEY: 'changeme-changeme-changeme-changeme',
        FAILPOINT: 'after-commit',
        PUBLIC_URL: undefined,
      });
      const running = startProgram(script, env, t);
      const { code } = await running.waitForExit();
      t.is(code, EXIT_CONFIG);
      const named = [...running.stderr().matchAll(/^ {2}([A-Z_]+): /gm)].map(
        ([, name = '']) => name,
      );
      t.deepEqual(new Set(named), new Set(['SECRET_KEY', 'FAILPOINT', 'PUBLIC_URL']));
      t.false(running.stderr().includes('changeme'));
      t.is(running.stdout(), '');
    },
  );
}
