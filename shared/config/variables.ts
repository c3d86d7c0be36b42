import * as z from 'zod';
import { failpointNames } from '../lifecycle/failpoint.js';
import { workerRoles } from '../queues/registry.js';
import { ehloName, emailAddresses, host, hostOrSocket, proxies, sender } from './addresses.js';
import { bearerToken, keySecret, list, plainText, previousKeySecrets } from './texts.js';
import { databaseUrl, publicUrl, redisUrl, serviceUrl } from './urls.js';

const portFrom = (min: number) => {
  const problem = `must be a port number, ${min} to 65535`;
  return z
    .string()
    .regex(/^\d{1,5}$/, problem)
    .transform(Number)
    .refine((value) => value >= min && value <= 65_535, problem);
};

/** To listen on; 0 is any free one. */
const port = portFrom(0);
/** To connect to. */
const remotePort = portFrom(1);

const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number, ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number, ${min} to ${max}`);

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

type Unit = keyof typeof unitMs;

/** `90s`, `15m`, `24h`, `30d`, or a bare number in `bareUnit`; in milliseconds. */
const duration = (bareUnit: Unit, max: `${number}${Unit}`) => {
  const readMs = (text: string): number => {
    const unit = /[smhd]$/.exec(text)?.[0] ?? bareUnit;
    return Number.parseInt(text, 10) * unitMs[unit as Unit];
  };
  return z
    .string()
    .regex(/^[1-9]\d{0,6}[smhd]?$/, 'must be a duration such as 90s, 15m, 24h or 30d')
    .transform(readMs)
    .refine((ms) => ms <= readMs(max), `must be at most ${max}`);
};

/** Less than the API's time-out of idle connections. */
const MAX_POSTGRES_TIMEOUT = '15s';
const MAX_ACCESS_TOKEN_LIFE = '30d';
/** Ten years: a longer one was meant in another unit. */
const MAX_SESSION_LIFE = '3650d';
const MAX_LINK_LIFE = '365d';

const roles = list.pipe(z.array(z.enum(workerRoles)).min(1, 'must name at least one role'));

/** How long a password must be unless set otherwise, in code points (NIST SP 800-63B-4, for an only factor). */
export const DEFAULT_PASSWORD_MIN_LENGTH = 15;

/** One environment variable: how it is parsed, and what the generated documents say about it. */
interface Variable<S extends z.ZodType = z.ZodType> {
  readonly schema: S;
  readonly meaning: string;
  /** Its default as the documents show it; absent when it has none. */
  readonly shown?: string;
  /** The text that it has when it is unset. No secret and no address has one. */
  readonly default?: string;
}

const variable = <S extends z.ZodType>(schema: S, meaning: string, shown?: string): Variable<S> =>
  shown === undefined ? { schema, meaning } : { schema, meaning, shown };

const withDefault = <S extends z.ZodType<unknown, string>>(
  schema: S,
  value: string,
  meaning: string,
): Variable<z.ZodPipe<z.ZodDefault<z.ZodString>, S>> => ({
  schema: z.string().default(value).pipe(schema),
  meaning,
  shown: value,
  ...(value !== '' && { default: value }),
});

/**
 * Every environment variable that Rollcall reads, in the order in which the documents list them.
 * A default is written as the text that an operator would set.
 */
export const variables = {
  NODE_ENV: withDefault(
    z.enum(['production', 'development', 'test']),
    'production',
    'anything but `production` relaxes only what this table names',
  ),
  APP_ENV: withDefault(
    z.enum(['test', 'development', 'staging', 'production']),
    'development',
    'label on logs: `test`, `development`, `staging` or `production`',
  ),
  PORT: withDefault(port, '5000', "the API's port"),
  HOST: withDefault(
    host,
    '0.0.0.0',
    'address that the API and the worker listen on; a worker may listen on `127.0.0.1` only, if its queue daemon runs on the same host and the worker is not in a container',
  ),
  WORKER_PORT: withDefault(port, '8080', "the worker's HTTP port"),
  OPS_PORT: variable(
    port.optional(),
    "port of the API's second listener, on OPS_HOST, for the console and the metrics; unset: both are served on PORT",
  ),
  OPS_HOST: withDefault(host, '127.0.0.1', 'address that the listener of OPS_PORT listens on'),
  PUBLIC_URL: variable(
    publicUrl.optional(),
    'base of every link in a mail; required in production, and `https` there',
    'http://localhost:PORT',
  ),
  SECRET_KEY: variable(
    keySecret,
    'signing keys are derived from it, one per purpose; required, in production at least 32 random bytes that appear in no source code',
  ),
  SECRET_KEY_PREVIOUS: withDefault(
    previousKeySecrets,
    '',
    'earlier values of SECRET_KEY, comma-separated: they still verify',
  ),
  PASSWORD_PEPPER: variable(
    keySecret.optional(),
    'key of the HMAC in front of bcrypt; required in production, at least 32 random bytes',
  ),
  PASSWORD_PEPPER_PREVIOUS: withDefault(
    previousKeySecrets,
    '',
    'earlier values of PASSWORD_PEPPER, comma-separated: hashes made with them still verify and are renewed at login',
  ),
  DATABASE_URL: variable(
    databaseUrl.optional(),
    'PostgreSQL as one URL, in place of the five `POSTGRES_*` below',
  ),
  POSTGRES_HOST: variable(hostOrSocket.optional(), 'PostgreSQL host'),
  POSTGRES_PORT: withDefault(remotePort, '5432', 'PostgreSQL port'),
  POSTGRES_DB: variable(plainText.optional(), 'PostgreSQL database'),
  POSTGRES_USER: variable(plainText.optional(), 'PostgreSQL user'),
  POSTGRES_PASSWORD: variable(plainText.optional(), 'PostgreSQL password'),
  POSTGRES_SSL: variable(
    z.enum(['disable', 'verify-full']).optional(),
    '`disable` or `verify-full`',
    '`verify-full` in production, else `disable`',
  ),
  POSTGRES_CA_FILE: variable(
    plainText.optional(),
    'PEM file of the authority that signed the server',
  ),
  POSTGRES_POOL_MAX: withDefault(
    integer(1, 500),
    '10',
    'connections per process, beside up to four for single statements',
  ),
  POSTGRES_TIMEOUT: withDefault(
    duration('s', MAX_POSTGRES_TIMEOUT),
    '2s',
    'time-out of a statement, and of waiting for a connection, after which a request is answered 503; a bare number is seconds',
  ),
  REDIS_URL: variable(redisUrl, 'Redis of the queues, `rediss://` for TLS; required'),
  REDIS_URL_LOGS: variable(redisUrl.optional(), 'Redis of the log batches', 'REDIS_URL'),
  MAIL_HOST: variable(host.optional(), 'SMTP host, with SES `email-smtp.REGION.amazonaws.com`'),
  MAIL_PORT: withDefault(
    remotePort,
    '587',
    '465 is TLS from the first byte, any other STARTTLS (required in production); `NODE_EXTRA_CA_CERTS` of Node names a PEM file of private authorities to trust',
  ),
  MAIL_USERNAME: variable(plainText.optional(), 'SMTP user'),
  MAIL_PASSWORD: variable(plainText.optional(), 'SMTP password'),
  MAIL_FROM: variable(
    sender.optional(),
    'sender: an address, `Name <address>` or `"Name" <address>`',
  ),
  MAIL_RATE: withDefault(
    integer(1, 100_000),
    '14',
    "mails per second over all workers, evenly: the SES account's sending rate",
  ),
  MAIL_CONNECTIONS: variable(
    integer(1, 100).optional(),
    'maximum of simultaneous SMTP connections per worker; reduced while the server refuses some of them',
    'as MAIL_RATE needs, at most 20',
  ),
  MAIL_EHLO_NAME: variable(
    ehloName.optional(),
    'name that the worker sends in EHLO: a host name, or an address in brackets',
    "the host's name",
  ),
  MAIL_CONFIGURATION_SET: variable(
    z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ -')
      .optional(),
    'SES configuration set that publishes delivery events',
  ),
  SES_TOPIC_ARN: variable(
    z
      .string()
      .regex(
        /^arn:aws(-cn|-us-gov)?:sns:[a-z]{2}(-[a-z]+){1,2}-\d{1,2}:\d{12}:[A-Za-z0-9_-]{1,256}$/,
        'must be the ARN of an SNS topic',
      )
      .optional(),
    'SNS topic of the delivery events; set: only envelopes that SNS signed for this topic are accepted, so leave raw message delivery off; unset: every message posted to the worker is trusted',
  ),
  FIREHOSE_DELIVERY_STREAM: variable(
    z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ . -')
      .optional(),
    'stream that logs are shipped to; unset: stdout only',
  ),
  AWS_REGION: variable(
    z
      .string()
      .regex(/^[a-z]{2,4}(-[a-z]{2,}){1,2}-\d{1,2}$/, 'must be a region such as eu-west-1')
      .optional(),
    'region of the stream and of CloudWatch',
  ),
  AWS_KEY: variable(
    plainText.optional(),
    "access key id; unset: the SDK's own chain (instance role)",
  ),
  AWS_SECRET: variable(plainText.optional(), 'secret access key of AWS_KEY'),
  AWS_ENDPOINT_URL: variable(serviceUrl.optional(), "URL that AWS is called at; unset: AWS's own"),
  AWS_ENDPOINT_URL_FIREHOSE: variable(
    serviceUrl.optional(),
    'URL that Firehose is called at',
    'AWS_ENDPOINT_URL',
  ),
  AWS_ENDPOINT_URL_CLOUDWATCH: variable(
    serviceUrl.optional(),
    'URL that CloudWatch is called at',
    'AWS_ENDPOINT_URL',
  ),
  JWT_ACCESS_TOKEN_EXPIRES: withDefault(
    duration('h', MAX_ACCESS_TOKEN_LIFE),
    '15m',
    `lifetime of an access token, at most ${MAX_ACCESS_TOKEN_LIFE}; a bare number is hours`,
  ),
  JWT_REFRESH_TOKEN_EXPIRES: withDefault(
    duration('d', MAX_SESSION_LIFE),
    '30d',
    `lifetime of a session, at most ${MAX_SESSION_LIFE}; a bare number is days`,
  ),
  CONFIRMATION_EXPIRES: withDefault(
    duration('h', MAX_LINK_LIFE),
    '24h',
    `lifetime of a confirmation link, at most ${MAX_LINK_LIFE}; a bare number is hours`,
  ),
  UV_THREADPOOL_SIZE: withDefault(
    integer(1, 1_024),
    '4',
    'size of the libuv thread pool, which hashes passwords and serves file and DNS access; password hashing leaves two threads free',
  ),
  BCRYPT_COST: withDefault(integer(4, 16), '12', 'work factor; at least 10 in production'),
  PASSWORD_MIN_LENGTH: withDefault(
    integer(1, 64),
    String(DEFAULT_PASSWORD_MIN_LENGTH),
    'in code points; at least 8 in production',
  ),
  OPERATOR_EMAILS: withDefault(
    list.pipe(emailAddresses),
    '',
    'comma-separated; confirmed admins with these addresses are operators',
  ),
  OPS_READONLY_EMAILS: withDefault(
    list.pipe(emailAddresses),
    '',
    'comma-separated; confirmed admins with these addresses have read-only access to the console, operators among them included',
  ),
  ALERT_EMAILS: withDefault(
    list.pipe(emailAddresses),
    '',
    'comma-separated; addresses that get a mail when a part of the service fails, and when it has recovered',
  ),
  ALERT_WEBHOOK_URL: variable(
    serviceUrl.optional(),
    'URL that the same notices are posted to as JSON, in the formats of Slack and of SNS over HTTPS; `https` in production',
  ),
  CONSOLE_URL: variable(
    serviceUrl.optional(),
    "URL of the operators' console, for the links of alerts; unset: `/ops` below PUBLIC_URL, so set it with OPS_PORT",
  ),
  HEARTBEAT_URL: variable(
    serviceUrl.optional(),
    "URL that is called each minute while all is well: a dead man's switch; `https` in production",
  ),
  METRICS_TOKEN: variable(
    bearerToken.optional(),
    'bearer token for `/metrics`, in production at least 32 random bytes; unset: only loopback may read it',
  ),
  METRICS_CLOUDWATCH_NAMESPACE: variable(
    z
      .string()
      .regex(
        /^(?!AWS\/)[A-Za-z0-9._/#-]{1,255}$/,
        'must be 1 to 255 of A-Z a-z 0-9 . _ / # -, and not begin with AWS/',
      )
      .optional(),
    'namespace in CloudWatch, to which each worker publishes once a minute the metrics for scaling and alarms; requires AWS_REGION; unset: nothing is published',
  ),
  METRICS_CLOUDWATCH_ENVIRONMENT: variable(
    z
      .string()
      .regex(/^[A-Za-z0-9._/#-]{1,255}$/, 'must be 1 to 255 of A-Z a-z 0-9 . _ / # -')
      .optional(),
    'value of the dimension `Environment` of these metrics',
    'APP_ENV',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable(
    serviceUrl.optional(),
    'base URL of an OpenTelemetry collector, to which traces are exported as OTLP over HTTP; unset: no tracing code is loaded',
  ),
  TRUST_PROXY: withDefault(
    list.pipe(proxies),
    '0',
    'proxies in front of the API: a hop count, or their CIDRs; production refuses public networks, in which any client may have an address',
  ),
  WORKER_ROLES: withDefault(roles, workerRoles.join(), 'roles of this worker'),
  LOG_LEVEL: withDefault(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']),
    'info',
    'lowest level that is logged',
  ),
  SPOOL_DIR: variable(
    plainText.optional(),
    'where log lines wait on disk until they are shipped; processes that share it take over what another left',
    '`.local/spool`, in production `rollcall/spool` below XDG_STATE_HOME',
  ),
  SPOOL_MAX_MIB: withDefault(
    integer(1, 1_000_000),
    '256',
    'disk space for the waiting lines of one process; beyond it the oldest are dropped and counted',
  ),
  HEALTHD_DIR: variable(
    plainText.optional(),
    "folder in which the API writes a line for each request, for Elastic Beanstalk's health agent; unset: none is written",
  ),
  XDG_STATE_HOME: variable(
    plainText.optional(),
    'where programs keep their state (XDG Base Directory Specification)',
    '~/.local/state',
  ),
  RATE_LIMIT_SCALE: withDefault(
    z
      .string()
      .regex(/^\d{1,6}(\.\d{1,3})?$/, 'must be a number')
      .transform(Number),
    '1',
    'multiplies every rate limit; refused in production',
  ),
  FAILPOINT: variable(
    z.enum(failpointNames, { error: `must be one of ${failpointNames.join(', ')}` }).optional(),
    'fail point at which the process kills itself, for crash tests; refused in production',
  ),
} as const satisfies Record<string, Variable>;

export type VariableName = keyof typeof variables;

export const variableNames = Object.keys(variables) as VariableName[];

/** The default of a variable, as text; undefined if it has none. */
export const defaultOf = (name: VariableName): string | undefined => {
  const each: Variable = variables[name];
  return each.default;
};

/** The type that a variable's text is parsed into. */
export type VariableValue<N extends VariableName> = z.output<(typeof variables)[N]['schema']>;
