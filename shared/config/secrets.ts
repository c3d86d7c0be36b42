import type { EnvironmentReader } from './reader.js';
import { weaknessOf } from './secret-strength.js';
import type { VariableName } from './variables.js';

/**
 * Reports secrets that production must not use: short ones, patterns, well-known placeholders, values published with the
 * source code, and one value that serves two purposes.
 */
export function refuseWeakSecrets(reader: EnvironmentReader): void {
  if (!reader.isProduction) return;
  for (const [variable, values] of keySecrets(reader)) {
    for (const value of values) {
      const weakness = weaknessOf(value);
      if (weakness) reader.fault(variable, weakness);
    }
  }
  refuseSharedSecrets(reader);
}

/** Texts that somebody chose elsewhere and pasted: they may hold anything. */
const PASTED = [
  'SECRET_KEY',
  'SECRET_KEY_PREVIOUS',
  'PASSWORD_PEPPER',
  'PASSWORD_PEPPER_PREVIOUS',
  'METRICS_TOKEN',
  'DATABASE_URL',
  'POSTGRES_USER',
  'POSTGRES_PASSWORD',
  'REDIS_URL',
  'REDIS_URL_LOGS',
  'MAIL_USERNAME',
  'MAIL_PASSWORD',
  'AWS_SECRET',
  'ALERT_WEBHOOK_URL',
  'HEARTBEAT_URL',
] as const satisfies readonly VariableName[];

/**
 * Reports, in production, secrets that would not arrive as they were set.
 * Elastic Beanstalk writes the environment into a file for Docker Compose and doubles each `$` there; other tools replace
 * `$NAME`. The value that arrives is then another one, and the fault would look like a wrong password.
 */
export function refuseDollars(reader: EnvironmentReader): void {
  if (!reader.isProduction) return;
  for (const variable of PASTED) {
    if (reader.text(variable)?.includes('$') === true)
      reader.fault(
        variable,
        'holds a $, which Elastic Beanstalk and Docker Compose alter on the way; choose a value without one (in a URL %24)',
      );
  }
}

function keySecrets(reader: EnvironmentReader): [VariableName, string[]][] {
  return [
    ['SECRET_KEY', compact([reader.get('SECRET_KEY')])],
    ['SECRET_KEY_PREVIOUS', reader.get('SECRET_KEY_PREVIOUS') ?? []],
    ['PASSWORD_PEPPER', compact([reader.get('PASSWORD_PEPPER')])],
    ['PASSWORD_PEPPER_PREVIOUS', reader.get('PASSWORD_PEPPER_PREVIOUS') ?? []],
    ['METRICS_TOKEN', compact([reader.get('METRICS_TOKEN')])],
  ];
}

function refuseSharedSecrets(reader: EnvironmentReader): void {
  const owners = new Map<string, VariableName>();
  const redisPasswords = passwordIn(reader.get('REDIS_URL'));
  const others: [VariableName, string[]][] = [
    reader.isGiven('DATABASE_URL')
      ? ['DATABASE_URL', compact([reader.get('DATABASE_URL')?.password])]
      : ['POSTGRES_PASSWORD', compact([reader.get('POSTGRES_PASSWORD')])],
    ['REDIS_URL', redisPasswords],
    // Both variables may name one server with different databases.
    [
      'REDIS_URL_LOGS',
      passwordIn(reader.get('REDIS_URL_LOGS')).filter(
        (password) => !redisPasswords.includes(password),
      ),
    ],
    ['MAIL_PASSWORD', compact([reader.get('MAIL_PASSWORD')])],
    ['AWS_SECRET', compact([reader.get('AWS_SECRET')])],
  ];
  for (const [variable, values] of [...keySecrets(reader), ...others]) {
    for (const value of values) {
      const owner = owners.get(value);
      if (owner) reader.fault(variable, `has the same value as ${owner}`);
      owners.set(value, variable);
    }
  }
}

const passwordIn = (url: string | undefined): string[] =>
  url === undefined ? [] : [decodeURIComponent(new URL(url).password)].filter(Boolean);

const compact = (values: (string | undefined)[]): string[] =>
  values.filter((value) => value !== undefined);
