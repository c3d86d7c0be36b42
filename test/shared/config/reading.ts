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
/** What files, editors and tools leave in a text, which then is another one. */
export const badTexts = [
  ...['x-y-z\n', 'x-y-z\r\n', 'x-y-z ', ' x-y-z', 'x-y-z\t', '\u00a0x-y-z', '\ufeffx-y-z'],
  ...['x-y\nz', 'x-y\u001bz', 'x-y-z\u007f', ' ', '\n'],
];
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
export const goodHosts = [
  ...['localhost', 'db', 'my_db-1', 'mail.rollcall.example', 'mail.rollcall.example.'],
  ...['0.0.0.0', '10.0.0.7', '::', '::1', 'fe80::1%eth0'],
].map((host) => [host, host] as const);
export const badHosts = [
  ...['not a host', 'http://x', 'smtp://x', 'host:25', 'a/b', 'user@host', 'a..b', '-a.test'],
  ...[
    '999.1.1.1',
    '1.2.3',
    '127.1',
    '10.0.0.7/8',
    '[::1]',
    ':::',
    'a\nb',
    ' db.test',
    'a'.repeat(64),
  ],
];
/** Not an address of anything. */
export const badUrls = ['localhost:5432', 'ftp://host/x', '//host', 'nonsense'];
/** Good but for one thing: `new URL` would drop it unseen, or nothing has such an address. */
export const badUrlsOf = (start: string, path = '/'): string[] => [
  ...['a.t\nest', 'a.t\test', '\u0000a.test', 'a .test', 'a.test:0', '999.1.1.1', 'a..test'].map(
    (address) => `${start}${address}${path}`,
  ),
  ...[' ', '\r\n', '\t', '\u007f'].map((end) => `${start}a.test${path}${end}`),
];
