import { join } from 'node:path';
import type { DevEnv } from '../env.js';
import { loopback } from './processes/ports.js';
import type { LocalSecrets } from './secrets.js';

/** What the API and the worker are told about the stack around them. */
export interface Surroundings {
  readonly api: string;
  readonly postgres: string;
  readonly redis: string;
  readonly firehose: string;
  /** Where SMTP is spoken; a program that sends no mail may leave it out. */
  readonly mail?: { readonly host: string; readonly port: number };
}

/** Variables of the caller that would lead our processes to another database, mail server or account. */
const replaced =
  /^(?:POSTGRES_(?!POOL_MAX$|TIMEOUT$|SSL$|CA_FILE$)|MAIL_(?!RATE$)|AWS_|REDIS_URL_LOGS$|SES_)/;

/**
 * A whole development environment for the API, the worker and their tools. What the caller has set is kept
 * (LOG_LEVEL, RATE_LIMIT_SCALE, BCRYPT_COST ...), but for what says where the stack is.
 */
export function serviceEnvironment(
  env: DevEnv,
  secrets: LocalSecrets,
  surroundings: Surroundings,
): Record<string, string> {
  const kept = Object.entries(env.inherited).filter(([name]) => !replaced.test(name));
  const operators = [env.inherited['OPERATOR_EMAILS'], secrets.operator.email]
    .filter(Boolean)
    .join(',');
  return {
    SECRET_KEY: secrets.secretKey,
    PASSWORD_PEPPER: secrets.passwordPepper,
    BCRYPT_COST: '10',
    POSTGRES_SSL: 'disable',
    SPOOL_DIR: join(env.dataDir, 'spool'),
    ...Object.fromEntries(kept),
    NODE_ENV: 'development',
    APP_ENV: 'development',
    HOST: loopback,
    PUBLIC_URL: surroundings.api,
    OPERATOR_EMAILS: operators,
    DATABASE_URL: surroundings.postgres,
    REDIS_URL: surroundings.redis,
    FIREHOSE_DELIVERY_STREAM: 'rollcall-local',
    AWS_REGION: 'us-east-1',
    AWS_KEY: 'local',
    AWS_SECRET: 'local',
    // The SDK's notice about Node's age is for whoever deploys, not for every start.
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    AWS_ENDPOINT_URL_FIREHOSE: surroundings.firehose,
    ...(surroundings.mail !== undefined && {
      MAIL_HOST: surroundings.mail.host,
      MAIL_PORT: String(surroundings.mail.port),
      MAIL_FROM: 'Rollcall <no-reply@rollcall.test>',
      // Puts the tag on each mail by which the simulator's events find it.
      MAIL_CONFIGURATION_SET: 'rollcall-local',
    }),
  };
}
