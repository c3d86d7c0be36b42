import { join } from 'node:path';
import type { DevEnv } from '../env.js';
import { loopback } from './processes/ports.js';
import type { LocalSecrets } from './secrets.js';

/** The addresses that the API and the worker need. */
export interface ServiceAddresses {
  readonly api: string;
  readonly postgres: string;
  readonly redis: string;
  readonly firehose: string;
  /** The SMTP server; not needed by a program that sends no mail. */
  readonly mail?: { readonly host: string; readonly port: number };
}

/** Variables that would point the processes to another database, mail server or AWS account. */
const overridden =
  /^(?:POSTGRES_(?!POOL_MAX$|TIMEOUT$|SSL$|CA_FILE$)|MAIL_(?!RATE$)|AWS_|REDIS_URL_LOGS$|SES_)/;

/**
 * The complete environment of the API, the worker and their tools in development. Variables that are set already
 * (LOG_LEVEL, RATE_LIMIT_SCALE, BCRYPT_COST ...) are kept, except those that name servers.
 */
export function serviceEnvironment(
  env: DevEnv,
  secrets: LocalSecrets,
  addresses: ServiceAddresses,
): Record<string, string> {
  const kept = Object.entries(env.inherited).filter(([name]) => !overridden.test(name));
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
    PUBLIC_URL: addresses.api,
    OPERATOR_EMAILS: operators,
    DATABASE_URL: addresses.postgres,
    REDIS_URL: addresses.redis,
    FIREHOSE_DELIVERY_STREAM: 'rollcall-local',
    AWS_REGION: 'us-east-1',
    AWS_KEY: 'local',
    AWS_SECRET: 'local',
    // The SDK's deprecation warning about old Node versions would be printed at every start.
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    AWS_ENDPOINT_URL_FIREHOSE: addresses.firehose,
    ...(addresses.mail !== undefined && {
      MAIL_HOST: addresses.mail.host,
      MAIL_PORT: String(addresses.mail.port),
      MAIL_FROM: 'Rollcall <no-reply@rollcall.test>',
      // Adds the message tag to each mail by which the simulator's events identify it.
      MAIL_CONFIGURATION_SET: 'rollcall-local',
    }),
  };
}
