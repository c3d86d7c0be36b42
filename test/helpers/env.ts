import { randomBytes } from 'node:crypto';
import { PASSWORD_PEPPER, SECRET_KEY } from '../../dev/checks/test-secrets.js';
import type { TestContext } from './context.js';

export { PASSWORD_PEPPER, SECRET_KEY };

/** Environment variables of a process; `undefined` takes one away. */
export type Overrides = Readonly<Record<string, string | undefined>>;

/** Where the links in this run's mails point; nothing listens there, tests follow the path at their own API. */
export const PUBLIC_URL = 'https://rollcall.example';

/** Time for PostgreSQL to answer even when all stands still for a while; who tests its absence waits no longer than in production. */
export const SLOW_MACHINE_MS = 15_000;
export const IMPATIENT = { POSTGRES_TIMEOUT: undefined } as const;

/** A whole, valid environment for an API or a worker of this test file. */
export function environment(
  context: TestContext,
  overrides: Overrides = {},
): Record<string, string> {
  const { stack, databaseUrl, redisUrl, mailDomain, streamName, spoolDir } = context;
  return withoutUndefined({
    ...inherited(),
    NODE_ENV: 'test',
    APP_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: '0',
    WORKER_PORT: '0',
    PUBLIC_URL,
    SECRET_KEY,
    PASSWORD_PEPPER,
    BCRYPT_COST: '4',
    RATE_LIMIT_SCALE: '1000',
    DATABASE_URL: databaseUrl,
    POSTGRES_TIMEOUT: `${SLOW_MACHINE_MS / 1_000}s`,
    REDIS_URL: redisUrl,
    MAIL_HOST: stack.mail.host,
    MAIL_PORT: String(stack.mail.port),
    MAIL_FROM: `Rollcall <no-reply@${mailDomain}>`,
    MAIL_RATE: '1000',
    FIREHOSE_DELIVERY_STREAM: streamName,
    AWS_REGION: 'eu-central-1',
    AWS_KEY: 'AKIDTESTTESTTESTTEST',
    AWS_SECRET: 'aws-secret-of-the-tests',
    AWS_ENDPOINT_URL_FIREHOSE: stack.firehoseUrl,
    LOG_LEVEL: 'debug',
    SPOOL_DIR: spoolDir,
    ...overrides,
  });
}

/** What a process needs besides its configuration; coverage is collected in child processes too. */
function inherited(): Overrides {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    NODE_V8_COVERAGE: process.env['NODE_V8_COVERAGE'],
  };
}

function withoutUndefined(variables: Overrides): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** One that production takes: it is in no file. */
export const randomSecret = (): string => randomBytes(32).toString('base64url');

/** What makes it an environment of production, on the servers of the tests: those have no TLS. */
export const productionEnvironment = (): Overrides => ({
  NODE_ENV: 'production',
  SECRET_KEY: randomSecret(),
  PASSWORD_PEPPER: randomSecret(),
  BCRYPT_COST: '10',
  RATE_LIMIT_SCALE: undefined,
  POSTGRES_SSL: 'disable',
});
