import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { ConfigError, load, type Environment, type EnvironmentReader } from './reader.js';
import { defaultOf, variableNames, type VariableName } from './variables.js';
import { findMistakenNames } from './mistaken-names.js';
import { refuseDollars, refuseWeakSecrets } from './secrets.js';
import { excessiveTrust } from './proxies.js';

export { ConfigError, type Environment } from './reader.js';

/** Exit code of a process whose configuration is unusable (sysexits.h, EX_CONFIG). */
export const EXIT_CONFIG = 78;

export type ApiConfig = ReturnType<typeof loadApiConfig>;
export type WorkerConfig = ReturnType<typeof loadWorkerConfig>;

/** @throws {ConfigError} naming every variable at fault. */
export function loadApiConfig(env: Environment = process.env) {
  return load(env, (reader) => {
    refuseWeakSecrets(reader);
    return Object.freeze({
      ...runtime(reader),
      http: http(reader),
      publicUrl: publicUrl(reader),
      alerts: alerts(reader),
      secrets: secrets(reader),
      passwords: passwords(reader),
      tokens: {
        accessExpiresMs: reader.get('JWT_ACCESS_TOKEN_EXPIRES'),
        sessionExpiresMs: reader.get('JWT_REFRESH_TOKEN_EXPIRES'),
      },
      confirmationExpiresMs: reader.get('CONFIRMATION_EXPIRES'),
      operatorEmails: reader.get('OPERATOR_EMAILS'),
      readonlyEmails: reader.get('OPS_READONLY_EMAILS'),
      opsListener: opsListener(reader),
      healthdDir: reader.get('HEALTHD_DIR'),
      mistakenNames: findMistakenNames(env),
      rateLimitScale: reader.get('RATE_LIMIT_SCALE'),
      database: database(reader),
      redis: redis(reader),
      spool: spool(reader),
    });
  });
}

/** @throws {ConfigError} naming every variable at fault. */
export function loadWorkerConfig(env: Environment = process.env) {
  return load(env, (reader) => {
    refuseWeakSecrets(reader);
    const roles = reader.get('WORKER_ROLES') ?? [];
    return Object.freeze({
      ...runtime(reader),
      http: { host: reader.get('HOST'), port: reader.get('WORKER_PORT') },
      publicUrl: publicUrl(reader),
      alerts: alerts(reader),
      secrets: secrets(reader),
      roles,
      mistakenNames: findMistakenNames(env),
      database: database(reader),
      redis: redis(reader),
      mail: mail(reader, roles.includes('mail')),
      rateLimitScale: reader.get('RATE_LIMIT_SCALE'),
      sesTopicArn: reader.get('SES_TOPIC_ARN'),
      firehose: firehose(reader),
      cloudWatch: cloudWatch(reader),
      spool: spool(reader),
    });
  });
}

/** The configuration of migrations and of commands that need only PostgreSQL. @throws {ConfigError} naming every variable at fault. */
export function loadToolConfig(env: Environment = process.env) {
  return load(env, (reader) =>
    Object.freeze({
      ...runtime(reader),
      database: database(reader),
      confirmationExpiresMs: reader.get('CONFIRMATION_EXPIRES'),
      operatorEmails: reader.get('OPERATOR_EMAILS'),
    }),
  );
}

/** The configuration of commands that also read the queues. @throws {ConfigError} naming every variable at fault. */
export function loadQueueToolConfig(env: Environment = process.env) {
  return load(env, (reader) =>
    Object.freeze({
      ...runtime(reader),
      database: database(reader),
      redis: redis(reader),
      spool: spool(reader),
    }),
  );
}

/** The configuration of commands that also change counts of rate limits. @throws {ConfigError} naming every variable at fault. */
export function loadRateLimitToolConfig(env: Environment = process.env) {
  return load(env, (reader) =>
    Object.freeze({
      ...runtime(reader),
      database: database(reader),
      redis: redis(reader),
      secrets: secrets(reader),
    }),
  );
}

/** Loads a configuration, or prints every fault to stderr by variable name and ends the process with exit code 78. */
export function loadOrExit<C>(loader: () => C): C {
  try {
    return loader();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT_CONFIG);
  }
}

function runtime(reader: EnvironmentReader) {
  refuseDollars(reader);
  const failpoint = reader.get('FAILPOINT');
  if (failpoint !== undefined && reader.isProduction)
    reader.fault('FAILPOINT', 'is refused in production');
  if (reader.isProduction && reader.get('RATE_LIMIT_SCALE') !== 1)
    reader.fault('RATE_LIMIT_SCALE', 'is refused in production');
  requireBoth(reader, 'MAIL_USERNAME', 'MAIL_PASSWORD');
  requireBoth(reader, 'AWS_KEY', 'AWS_SECRET');
  return {
    isProduction: reader.isProduction,
    metricsToken: reader.get('METRICS_TOKEN'),
    tracesUrl: reader.get('OTEL_EXPORTER_OTLP_ENDPOINT'),
    logging: { environment: reader.get('APP_ENV'), level: reader.get('LOG_LEVEL') },
    failpoint,
    changedSettings: changedSettings(reader),
  };
}

/** What is set otherwise than by default, for the log: with the value only where there is a default, which no secret has. */
function changedSettings(reader: EnvironmentReader): string {
  const changed = variableNames.flatMap((name) => {
    const text = reader.text(name);
    const usual = defaultOf(name);
    if (text === undefined || text === usual) return [];
    return usual === undefined ? [name] : [`${name}=${text}`];
  });
  return changed.join(' ');
}

/** A second listener for what only operators use; `undefined` when the API's own serves it. */
function opsListener(reader: EnvironmentReader): { host: string; port: number } | undefined {
  const host = reader.get('OPS_HOST');
  const port = reader.get('OPS_PORT');
  if (port === undefined) return undefined;
  if (port !== 0 && port === reader.get('PORT') && isOverlapping(host, reader.get('HOST')))
    reader.fault('OPS_PORT', 'must differ from PORT, unless HOST and OPS_HOST are two addresses');
  return { host, port };
}

/** Whether listeners on one port may collide: only two different addresses never do, unless one of them is all addresses. */
const isOverlapping = (...hosts: readonly [string, string]): boolean =>
  hosts[0] === hosts[1] || hosts.some((host) => isIP(host) === 0 || /^[0:.]+$/.test(host));

/** Who is notified of failures, and how. */
function alerts(reader: EnvironmentReader) {
  const [webhookUrl, heartbeatUrl] = (['ALERT_WEBHOOK_URL', 'HEARTBEAT_URL'] as const).map(
    (name) => {
      const url = reader.get(name);
      if (url !== undefined && reader.isProduction && !url.startsWith('https:'))
        reader.fault(name, 'must be an https URL in production');
      return url;
    },
  );
  const consoleUrl = reader.get('CONSOLE_URL') ?? `${publicUrl(reader)}/ops`;
  const runbookUrl = `${consoleUrl.replace(/\/$/, '')}/runbook`;
  return { emails: reader.get('ALERT_EMAILS'), webhookUrl, heartbeatUrl, runbookUrl };
}

/** Two variables that are useful only together: one without the other is a mistake. */
function requireBoth(reader: EnvironmentReader, ...pair: [VariableName, VariableName]): void {
  const [missing, ...others] = pair.filter((name) => !reader.isGiven(name));
  const given = pair.find((name) => name !== missing);
  if (missing !== undefined && others.length === 0)
    reader.fault(missing, `is required with ${given}`);
}

function http(reader: EnvironmentReader) {
  const proxies = reader.get('TRUST_PROXY') ?? [];
  const [first] = proxies;
  const excess = reader.isProduction ? excessiveTrust(proxies) : undefined;
  if (excess !== undefined) reader.fault('TRUST_PROXY', `${excess}; refused in production`);
  const isHopCount = proxies.length === 1 && first !== undefined && /^\d+$/.test(first);
  return {
    host: reader.get('HOST'),
    port: reader.get('PORT'),
    /** Express's setting `trust proxy`: a number of hops, or the proxies' addresses. */
    trustProxy: isHopCount ? Number(first) : proxies,
  };
}

function publicUrl(reader: EnvironmentReader): string {
  const given = reader.get('PUBLIC_URL');
  if (given === undefined && reader.isProduction)
    reader.fault('PUBLIC_URL', 'is required in production');
  if (given !== undefined && reader.isProduction && !given.startsWith('https:'))
    reader.fault('PUBLIC_URL', 'must be an https URL in production: mailed links bear tokens');
  return given ?? `http://localhost:${reader.get('PORT')}`;
}

function secrets(reader: EnvironmentReader) {
  return {
    current: reader.require('SECRET_KEY'),
    previous: reader.get('SECRET_KEY_PREVIOUS') ?? [],
  };
}

function passwords(reader: EnvironmentReader) {
  const pepper = reader.get('PASSWORD_PEPPER');
  const cost = reader.get('BCRYPT_COST');
  const minLength = reader.get('PASSWORD_MIN_LENGTH');
  if (reader.isProduction) {
    if (pepper === undefined) reader.fault('PASSWORD_PEPPER', 'is required in production');
    if (cost < 10) reader.fault('BCRYPT_COST', 'must be at least 10 in production');
    if (minLength < 8) reader.fault('PASSWORD_MIN_LENGTH', 'must be at least 8 in production');
  }
  return {
    pepper: pepper ?? 'a pepper that only development has',
    previousPeppers: reader.get('PASSWORD_PEPPER_PREVIOUS') ?? [],
    cost,
    minLength,
    threads: reader.get('UV_THREADPOOL_SIZE'),
  };
}

function database(reader: EnvironmentReader) {
  const authority = readAuthority(reader, reader.get('POSTGRES_CA_FILE'));
  const ssl = reader.get('POSTGRES_SSL') ?? (reader.isProduction ? 'verify-full' : 'disable');
  if (ssl === 'disable' && reader.isGiven('POSTGRES_CA_FILE'))
    reader.fault('POSTGRES_CA_FILE', 'requires POSTGRES_SSL=verify-full');
  return {
    ...databaseAddress(reader),
    poolMax: reader.get('POSTGRES_POOL_MAX'),
    timeoutMs: reader.get('POSTGRES_TIMEOUT'),
    ssl: ssl === 'disable' ? (false as const) : { rejectUnauthorized: true, ...authority },
  };
}

function databaseAddress(reader: EnvironmentReader) {
  if (reader.isGiven('DATABASE_URL')) return reader.require('DATABASE_URL');
  const why = 'is required, or DATABASE_URL in its place';
  return {
    host: reader.require('POSTGRES_HOST', why),
    port: reader.get('POSTGRES_PORT'),
    name: reader.require('POSTGRES_DB', why),
    user: reader.require('POSTGRES_USER', why),
    password: reader.require('POSTGRES_PASSWORD', why),
  };
}

function readAuthority(reader: EnvironmentReader, file: string | undefined): { ca?: string } {
  if (file === undefined) return {};
  try {
    const ca = readFileSync(file, 'utf8');
    if (!isCertificates(ca))
      reader.fault('POSTGRES_CA_FILE', 'must name a file of certificates in PEM');
    return { ca };
  } catch {
    reader.fault('POSTGRES_CA_FILE', 'names a file that cannot be read');
    return {};
  }
}

/** TLS would ignore what it cannot read, and then trust nobody. */
function isCertificates(pem: string): boolean {
  const begin = /(?=-----BEGIN [\w ]*CERTIFICATE-----)/;
  const blocks = pem.split(begin).filter((block) => block.startsWith('-----BEGIN'));
  try {
    for (const block of blocks) void new X509Certificate(block);
    return blocks.length > 0;
  } catch {
    return false;
  }
}

function redis(reader: EnvironmentReader) {
  const url = reader.require('REDIS_URL');
  return { url, logsUrl: reader.get('REDIS_URL_LOGS') ?? url };
}

/** A worker without the role `mail` needs no mail settings; the placeholders it gets are never used. */
function mail(reader: EnvironmentReader, sendsMail: boolean) {
  const why = 'is required to send mail';
  const username = reader.get('MAIL_USERNAME');
  const password = reader.get('MAIL_PASSWORD');
  const host = reader.get('MAIL_HOST');
  const from = reader.get('MAIL_FROM');
  if (sendsMail) {
    reader.require('MAIL_HOST', why);
    reader.require('MAIL_FROM', why);
  }
  const port = reader.get('MAIL_PORT');
  return {
    host: host ?? 'localhost',
    port,
    tls:
      port === 465
        ? ('implicit' as const)
        : reader.isProduction
          ? ('starttls' as const)
          : ('optional' as const),
    credentials:
      username !== undefined && password !== undefined ? { username, password } : undefined,
    from: from ?? { name: 'Rollcall', address: 'nobody@localhost' },
    ratePerSecond: reader.get('MAIL_RATE'),
    connections: reader.get('MAIL_CONNECTIONS'),
    ehloName: reader.get('MAIL_EHLO_NAME'),
    configurationSet: reader.get('MAIL_CONFIGURATION_SET'),
  };
}

function firehose(reader: EnvironmentReader) {
  const stream = reader.get('FIREHOSE_DELIVERY_STREAM');
  if (stream === undefined) return undefined;
  return {
    stream,
    region: reader.require('AWS_REGION', 'is required with FIREHOSE_DELIVERY_STREAM'),
    credentials: awsCredentials(reader),
  };
}

/** Where metrics are published; `undefined` when they are not. */
function cloudWatch(reader: EnvironmentReader) {
  const namespace = reader.get('METRICS_CLOUDWATCH_NAMESPACE');
  if (namespace === undefined) return undefined;
  return {
    namespace,
    environment: reader.get('METRICS_CLOUDWATCH_ENVIRONMENT') ?? reader.get('APP_ENV'),
    region: reader.require('AWS_REGION', 'is required with METRICS_CLOUDWATCH_NAMESPACE'),
    credentials: awsCredentials(reader),
  };
}

/** Without them the SDK has a chain of its own. */
function awsCredentials(reader: EnvironmentReader) {
  const accessKeyId = reader.get('AWS_KEY');
  const secretAccessKey = reader.get('AWS_SECRET');
  return accessKeyId !== undefined && secretAccessKey !== undefined
    ? { accessKeyId, secretAccessKey }
    : undefined;
}

const MIB = 1_024 * 1_024;

/** Where log lines wait until they are shipped; `undefined` when logs go only to stdout. */
function spool(reader: EnvironmentReader): { dir: string; maxBytes: number } | undefined {
  const dir = resolve(reader.get('SPOOL_DIR') ?? defaultSpoolDir(reader));
  const maxBytes = reader.get('SPOOL_MAX_MIB') * MIB;
  return reader.get('FIREHOSE_DELIVERY_STREAM') === undefined ? undefined : { dir, maxBytes };
}

function defaultSpoolDir(reader: EnvironmentReader): string {
  const given = reader.get('XDG_STATE_HOME');
  if (!reader.isProduction) return join('.local', 'spool');
  // The XDG Base Directory Specification says to ignore a relative path.
  const state = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.local/state');
  return join(state, 'rollcall', 'spool');
}
