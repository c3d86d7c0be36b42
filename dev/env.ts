import { resolve } from 'node:path';
import { projectRoot } from './paths.js';

/** What the local stack takes from the environment of whoever started it. */
export interface DevEnv {
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly nodeEnv: string | undefined;
  /** `PATH`, split; where server programs are looked for. */
  readonly searchPath: readonly string[];
  readonly colour: boolean;
  /** Everything that was set, for handing on to child processes; npm's own variables are left out. */
  readonly inherited: Readonly<Record<string, string>>;
}

/** Reads the environment: the only place in dev/ that looks at `process.env`. */
export function readDevEnv(): DevEnv {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith('npm_')) inherited[name] = value;
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

/** Reads what the Firehose endpoint needs when it runs on its own, in a container for one. */
export function readFirehoseEnv(): { port: number; host: string; dataDir: string } {
  return {
    port: Number(process.env['PORT'] || 4573),
    host: process.env['HOST'] || '127.0.0.1',
    dataDir: resolve(process.env['DATA_DIR'] || resolve(projectRoot, '.local', 'firehose')),
  };
}

/** Reads where the browser of the tour is. */
export function readTourEnv(): { chromium: string } {
  return { chromium: process.env['CHROMIUM'] || '/usr/bin/chromium' };
}
