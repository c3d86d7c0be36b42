import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import {
  api,
  badDurations,
  badPorts,
  badTexts,
  badHosts,
  badUrls,
  badUrlsOf,
  base,
  DAY_MS,
  goodHosts,
  HOUR_MS,
  worker,
  type Reading,
} from './reading.js';
import { mailAndStreamReadings } from './mail-and-stream-readings.js';
import { operationsReadings } from './operations-readings.js';
import { workerRoles } from '../../../shared/queues/registry.js';
import { failpointNames } from '../../../shared/lifecycle/failpoint.js';
import type { VariableName } from '../../../shared/config/variables.js';

export const authorities = `Two of them:\n${rootCertificates.slice(0, 2).join('\n')}\n`;
const folder = mkdtempSync(join(tmpdir(), 'rollcall-authorities-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

export function fileOf(content: string): string {
  const file = join(folder, `${randomUUID()}.pem`);
  writeFileSync(file, content);
  return file;
}

const parts = {
  ...base,
  DATABASE_URL: '',
  POSTGRES_HOST: 'h',
  POSTGRES_DB: 'd',
  POSTGRES_USER: 'u',
  POSTGRES_PASSWORD: 'p',
};

/** How every variable is read. */
export const readings: Readonly<Record<VariableName, Reading>> = {
  NODE_ENV: {
    read: (text) => api({ NODE_ENV: text }).isProduction,
    good: [
      ['development', false],
      ['test', false],
    ],
    bad: ['live', 'Production', 'staging'],
  },
  APP_ENV: {
    read: (text) => api({ APP_ENV: text }).logging.environment,
    good: [
      [undefined, 'development'],
      ['test', 'test'],
      ['staging', 'staging'],
      ['production', 'production'],
    ],
    bad: ['live', 'PRODUCTION'],
  },
  PORT: {
    read: (text) => api({ PORT: text }).http.port,
    good: [
      [undefined, 5000],
      ['0', 0],
      ['65535', 65535],
    ],
    bad: badPorts,
  },
  HOST: {
    read: (text) => api({ HOST: text }).http.host,
    good: [[undefined, '0.0.0.0'], ['127.0.0.1', '127.0.0.1'], ...goodHosts],
    bad: badHosts,
  },
  WORKER_PORT: {
    read: (text) => worker({ WORKER_PORT: text }).http.port,
    good: [
      [undefined, 8080],
      ['9000', 9000],
    ],
    bad: badPorts,
  },
  PUBLIC_URL: {
    read: (text) => api({ PUBLIC_URL: text, PORT: '5001' }).publicUrl,
    good: [
      [undefined, 'http://localhost:5001'],
      ['https://rollcall.test', 'https://rollcall.test'],
      ['https://rollcall.test/app//', 'https://rollcall.test/app'],
    ],
    bad: [
      ...badUrls,
      ...badUrlsOf('https://'),
      'javascript:alert(1)',
      'https://rollcall.test/?a=b',
      'https://rollcall.test/#top',
      'https://me:pw@rollcall.test',
    ],
  },
  SECRET_KEY: {
    read: (text) => api({ SECRET_KEY: text }).secrets.current,
    good: [['short outside production', 'short outside production']],
    bad: [...badTexts, 'one,two', ','],
  },
  SECRET_KEY_PREVIOUS: {
    read: (text) => api({ SECRET_KEY_PREVIOUS: text }).secrets.previous,
    good: [
      [undefined, []],
      ['one', ['one']],
      ['one, two,,', ['one', 'two']],
    ],
    bad: ['one,t\nwo', 'one\u0000'],
  },
  PASSWORD_PEPPER: {
    read: (text) => api({ PASSWORD_PEPPER: text }).passwords.pepper,
    good: [
      ['pepper', 'pepper'],
      [undefined, api({}).passwords.pepper],
    ],
    bad: [...badTexts, 'one,two', ','],
  },
  PASSWORD_PEPPER_PREVIOUS: {
    read: (text) => api({ PASSWORD_PEPPER_PREVIOUS: text }).passwords.previousPeppers,
    good: [
      [undefined, []],
      ['one,two', ['one', 'two']],
    ],
    bad: ['one,t\nwo', 'one\u0000'],
  },
  DATABASE_URL: {
    read: (text) => {
      const { host, port, name, user, password } = api({ DATABASE_URL: text }).database;
      return [host, port, name, user, password];
    },
    good: [
      ['postgres://u:p@h/d', ['h', 5432, 'd', 'u', 'p']],
      ['postgresql://a%40b:c%2Fd%25@10.0.0.1:6000/e%20f', ['10.0.0.1', 6000, 'e f', 'a@b', 'c/d%']],
      ['postgres://u@h/d', ['h', 5432, 'd', 'u', '']],
    ],
    bad: [
      ...badUrls,
      ...badUrlsOf('postgres://u:p@', '/d'),
      'postgres://h/d',
      'postgres://u:p@h',
      'postgres://u:p@h/',
      'postgres://u:p@h/d?sslmode=disable',
      'postgres://u:50%off@h/d',
      ...['postgres://u:p%0A@h/d', 'postgres://u%00:p@h/d', 'postgres://u:p@h/d%0d'],
    ],
  },
  POSTGRES_HOST: {
    read: (text) => api({ ...parts, POSTGRES_HOST: text }).database.host,
    good: [...goodHosts, ['/var/run/postgresql', '/var/run/postgresql']],
    bad: [...badHosts, './run', '/run\n', '/run '],
  },
  POSTGRES_PORT: {
    read: (text) => api({ ...parts, POSTGRES_PORT: text }).database.port,
    good: [
      [undefined, 5432],
      ['6543', 6543],
    ],
    bad: [...badPorts, '0'],
  },
  POSTGRES_DB: {
    read: (text) => api({ ...parts, POSTGRES_DB: text }).database.name,
    good: [['x', 'x']],
    bad: badTexts,
  },
  POSTGRES_USER: {
    read: (text) => api({ ...parts, POSTGRES_USER: text }).database.user,
    good: [['x', 'x']],
    bad: badTexts,
  },
  POSTGRES_PASSWORD: {
    read: (text) => api({ ...parts, POSTGRES_PASSWORD: text }).database.password,
    good: [['x:/@%', 'x:/@%']],
    bad: badTexts,
  },
  POSTGRES_SSL: {
    read: (text) => api({ POSTGRES_SSL: text }).database.ssl,
    good: [
      [undefined, false],
      ['disable', false],
      ['verify-full', { rejectUnauthorized: true }],
    ],
    bad: ['require', 'true', 'prefer', 'no-verify'],
  },
  POSTGRES_CA_FILE: {
    read: (text) => api({ POSTGRES_SSL: 'verify-full', POSTGRES_CA_FILE: text }).database.ssl,
    good: [
      [undefined, { rejectUnauthorized: true }],
      [fileOf(authorities), { rejectUnauthorized: true, ca: authorities }],
    ],
    bad: [
      ...[
        '/there/is/no/such/file.pem',
        `${fileOf(authorities)}\n`,
        '/dev/null',
        '/etc/hostname',
        '/etc',
      ],
      fileOf(authorities.slice(0, -100)),
      fileOf(authorities.replaceAll('CERTIFICATE', 'PRIVATE KEY')),
    ],
  },
  POSTGRES_POOL_MAX: {
    read: (text) => api({ POSTGRES_POOL_MAX: text }).database.poolMax,
    good: [
      [undefined, 10],
      ['1', 1],
      ['500', 500],
    ],
    bad: ['0', '501', '-1', '1e2', 'ten'],
  },
  POSTGRES_TIMEOUT: {
    read: (text) => api({ POSTGRES_TIMEOUT: text }).database.timeoutMs,
    good: [
      [undefined, 2_000],
      ['5', 5_000],
      ['15s', 15_000],
    ],
    bad: [...badDurations, '16s', '1m'],
  },
  REDIS_URL: {
    read: (text) => api({ REDIS_URL: text }).redis,
    good: [
      ['redis://r', { url: 'redis://r', logsUrl: 'redis://r' }],
      ['rediss://u:p@r:6380/3', { url: 'rediss://u:p@r:6380/3', logsUrl: 'rediss://u:p@r:6380/3' }],
    ],
    bad: [
      ...[...badUrls, ...badUrlsOf('redis://'), 'http://r', 'redis:///1'],
      ...['redis://r/queues', 'redis://r/1.5', 'redis://u:50%off@r', 'redis://u:p%0A@r'],
    ],
  },
  REDIS_URL_LOGS: {
    read: (text) => api({ REDIS_URL_LOGS: text }).redis.logsUrl,
    good: [
      [undefined, base['REDIS_URL']],
      ['redis://logs', 'redis://logs'],
    ],
    bad: [...badUrls, ...badUrlsOf('rediss://'), 'redis://r/queues'],
  },
  JWT_ACCESS_TOKEN_EXPIRES: {
    read: (text) => api({ JWT_ACCESS_TOKEN_EXPIRES: text }).tokens.accessExpiresMs,
    good: [
      [undefined, HOUR_MS / 4],
      ['1', HOUR_MS],
      ['90s', 90_000],
      ['2h', 2 * HOUR_MS],
      ['30d', 30 * DAY_MS],
    ],
    bad: [...badDurations, '31d', '721', '9999999'],
  },
  JWT_REFRESH_TOKEN_EXPIRES: {
    read: (text) => api({ JWT_REFRESH_TOKEN_EXPIRES: text }).tokens.sessionExpiresMs,
    good: [
      [undefined, 30 * DAY_MS],
      ['7', 7 * DAY_MS],
      ['12h', DAY_MS / 2],
      ['3650', 3_650 * DAY_MS],
    ],
    bad: [...badDurations, '3651d', '9999999'],
  },
  CONFIRMATION_EXPIRES: {
    read: (text) => api({ CONFIRMATION_EXPIRES: text }).confirmationExpiresMs,
    good: [
      [undefined, DAY_MS],
      ['2s', 2_000],
      ['48', 2 * DAY_MS],
      ['365d', 365 * DAY_MS],
    ],
    bad: [...badDurations, '366d', '9999999'],
  },
  UV_THREADPOOL_SIZE: {
    read: (text) => api({ UV_THREADPOOL_SIZE: text }).passwords.threads,
    good: [
      [undefined, 4],
      ['1', 1],
      ['128', 128],
    ],
    bad: ['0', '1025', 'many'],
  },
  BCRYPT_COST: {
    read: (text) => api({ BCRYPT_COST: text }).passwords.cost,
    good: [
      [undefined, 12],
      ['4', 4],
      ['16', 16],
    ],
    bad: ['3', '17', '10.5', 'high'],
  },
  PASSWORD_MIN_LENGTH: {
    read: (text) => api({ PASSWORD_MIN_LENGTH: text }).passwords.minLength,
    good: [
      [undefined, 15],
      ['1', 1],
      ['64', 64],
    ],
    bad: ['0', '65', '-8'],
  },
  TRUST_PROXY: {
    read: (text) => api({ TRUST_PROXY: text }).http.trustProxy,
    good: [
      [undefined, 0],
      ['2', 2],
      ['10.0.0.0/8', ['10.0.0.0/8']],
      ['::1, 10.0.0.1', ['::1', '10.0.0.1']],
    ],
    bad: ['true', '-1', 'everyone', '1,10.0.0.0/8', '10.0.0.0/33', '300.0.0.1', ':::', '10.0.0'],
  },
  WORKER_ROLES: {
    read: (text) => worker({ WORKER_ROLES: text }).roles,
    good: [
      [undefined, workerRoles],
      ['relay', ['relay']],
      ['logs, mail', ['logs', 'mail']],
    ],
    bad: ['mail,brew', ',', 'MAIL'],
  },
  LOG_LEVEL: {
    read: (text) => api({ LOG_LEVEL: text }).logging.level,
    good: [
      [undefined, 'info'],
      ['trace', 'trace'],
      ['fatal', 'fatal'],
    ],
    bad: ['verbose', 'INFO', 'silent'],
  },
  RATE_LIMIT_SCALE: {
    read: (text) => api({ RATE_LIMIT_SCALE: text }).rateLimitScale,
    good: [
      [undefined, 1],
      ['1000', 1000],
      ['0.5', 0.5],
    ],
    bad: ['-1', '1e3', 'Infinity', '.5'],
  },
  FAILPOINT: {
    read: (text) => api({ FAILPOINT: text }).failpoint,
    good: [[undefined, undefined], ...failpointNames.map((name) => [name, name] as const)],
    bad: ['after commit', 'After-Commit', 'after-comit', 'after-everything'],
  },
  ...mailAndStreamReadings,
  ...operationsReadings,
};
