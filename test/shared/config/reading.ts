import {
  loadApiConfig,
  loadWorkerConfig,
  type Environment,
} from '../../../shared/config/config.js';

/** The least that both processes start on outside production. */
export const base: Environment = {
  NODE_ENV: 'test',
  SECRET_KEY: 'a key',
  DATABASE_URL: 'postgres://someone:a%20word@db.test/rollcall',
  REDIS_URL: 'redis://redis.test',
  MAIL_HOST: 'mail.test',
  MAIL_FROM: 'no-reply@rollcall.test',
};

export const api = (env: Environment) => loadApiConfig({ ...base, ...env });
export const worker = (env: Environment) => loadWorkerConfig({ ...base, ...env });

/** One variable: texts and what each is read as, then texts that are refused. */
export interface Reading {
  readonly read: (text: string | undefined) => unknown;
  readonly good: readonly (readonly [text: string | undefined, value: unknown])[];
  readonly bad: readonly string[];
}

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const badDurations = [
  '0',
  '0h',
  '-1h',
  '1.5h',
  '15 m',
  '15M',
  '1w',
  'h',
  'soon',
  '12345678s',
  '١٥m',
];
export const badPorts = ['-1', '65536', '123456', '80.5', '0x50', ' 80', '8e1'];
/** Not an address of anything. */
export const badUrls = ['localhost:5432', 'ftp://host/x', '//host', 'nonsense'];
