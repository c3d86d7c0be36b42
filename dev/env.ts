import { resolve } from 'node:path';
import { projectRoot } from './paths.js';

/** What development programs read from the environment. */
export interface DevEnv {
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly nodeEnv: string | undefined;
  /** The folders in `PATH`. */
  readonly searchPath: readonly string[];
  readonly colour: boolean;
  /** The whole environment without the variables of npm and libpq, to pass on to child processes. */
  readonly inherited: Readonly<Record<string, string>>;
}

/**
 * Reads the environment. This file is the only one in dev/ and bench/ that uses `process.env`.
 * Variables of libpq (PGSSLMODE, PGOPTIONS ...) are removed from it: they are meant for another server than the stack's, and
 * the driver pg would read them in this process too.
 */
export function readDevEnv(): DevEnv {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith('PG')) delete process.env[name];
    else if (value !== undefined && !name.startsWith('npm_')) inherited[name] = value;
  }
  const read = (name: string): string | undefined => inherited[name] || undefined;
  return {
    dataDir: resolve(read('DEV_DATA_DIR') ?? resolve(projectRoot, '.local')),
    databaseUrl: read('DATABASE_URL'),
    redisUrl: read('REDIS_URL'),
    nodeEnv: read('NODE_ENV'),
    searchPath: (read('PATH') ?? '').split(':').filter((folder) => folder !== ''),
    colour: read('NO_COLOR') === undefined && process.stdout.isTTY === true,
    inherited,
  };
}

/** Settings of the Firehose endpoint when it runs on its own, for example in a container. */
export function readFirehoseEnv(): { port: number; host: string; dataDir: string } {
  return {
    port: Number(process.env['PORT'] || 4573),
    host: process.env['HOST'] || '127.0.0.1',
    dataDir: resolve(process.env['DATA_DIR'] || resolve(projectRoot, '.local', 'firehose')),
  };
}

/** The browser that `npm run tour` uses. */
export function readTourEnv(): { chromium: string } {
  return { chromium: process.env['CHROMIUM'] || '/usr/bin/chromium' };
}

/** The logins of an installation, for `npm run database-roles`; empty where they are not set. */
export function readDatabaseRolesEnv(): Record<
  'api' | 'worker',
  { role: string; password: string }
> {
  const login = (name: string): { role: string; password: string } => ({
    role: process.env[`DATABASE_${name}_ROLE`] ?? '',
    password: process.env[`DATABASE_${name}_PASSWORD`] ?? '',
  });
  return { api: login('API'), worker: login('WORKER') };
}
