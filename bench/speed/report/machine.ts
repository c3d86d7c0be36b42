import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { projectRoot } from '../../../dev/paths.js';
import { canPin } from '../cpus.js';
import type { World } from '../world.js';

/** Where and with what was measured: names and values. */
export type Machine = readonly (readonly [name: string, value: string])[];

const GIB = 1_024 ** 3;
/** The packages that the figures depend on most. */
const PACKAGES = ['express', 'pg', 'sequelize', 'passport-jwt', 'jsonwebtoken', 'bcrypt'].concat([
  'bullmq',
  'ioredis',
  'nodemailer',
  '@aws-sdk/client-firehose',
  'pino',
]);
const BASELINE_PACKAGES = ['better-auth'];

/** Asks the machine and the servers. */
export async function describeMachine({ stack }: Pick<World, 'stack'>): Promise<Machine> {
  const [cpu] = cpus();
  return [
    ['date', new Date().toISOString().slice(0, 10)],
    ['commit', commit()],
    ['CPU', `${cpu?.model.trim() ?? 'unknown'}, ${cpus().length} cores`],
    ['memory', `${(totalmem() / GIB).toFixed(0)} GiB`],
    ['kernel', release()],
    ['process under test', canPin() ? 'on CPU 0, everything else on CPU 1' : 'NOT PINNED'],
    ['Node.js', process.versions.node],
    ['PostgreSQL', `${await postgresVersion(stack.postgresUrl)}, fsync on`],
    ['Redis', `${await redisVersion(stack.redisUrl)}, append-only file synced every second`],
    ['packages', versionsIn('package-lock.json', PACKAGES)],
    ['packages of baselines', versionsIn('bench/baselines/package-lock.json', BASELINE_PACKAGES)],
  ];
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: projectRoot, encoding: 'utf8' }).trim();
  try {
    const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', '--short=12', 'HEAD')}${isChanged ? ', with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}

async function postgresVersion(connectionString: string): Promise<string> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return rows[0]?.server_version ?? 'unknown';
  } finally {
    await client.end();
  }
}

async function redisVersion(url: string): Promise<string> {
  const redis = new Redis(url);
  try {
    return /^redis_version:(\S+)/m.exec(await redis.info('server'))?.[1] ?? 'unknown';
  } finally {
    redis.disconnect();
  }
}

function versionsIn(lockfile: string, names: readonly string[]): string {
  const { packages } = JSON.parse(readFileSync(join(projectRoot, lockfile), 'utf8')) as {
    packages: Record<string, { version?: string }>;
  };
  return names
    .map((name) => `${name} ${packages[`node_modules/${name}`]?.version ?? 'unknown'}`)
    .join(', ');
}
