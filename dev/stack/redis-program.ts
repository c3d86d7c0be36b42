import { join } from 'node:path';
import { projectRoot } from '../paths.js';
import {
  findServerProgram,
  lastLineOf,
  versionOf,
  type SearchOptions,
  type ServerProgram,
} from './processes/server-program.js';

const oldestVersion = [6, 2] as const;

/** Finds `redis-server` or `valkey-server`, wherever it may be had from. Rejects with the commands that would help. */
export const findRedisServer = (options: SearchOptions = {}): Promise<ServerProgram> =>
  findServerProgram(
    {
      names: ['redis-server', 'valkey-server'],
      packageName: 'redis-server',
      companions: ['redis-tools'],
      unpackDir: join(projectRoot, '.local', 'redis-server'),
      faultOf,
      advice: [
        'Redis is needed, and there is no redis-server or valkey-server on PATH. Any one of these helps:',
        '  Debian, Ubuntu   sudo apt-get install -y redis-server',
        '  macOS            brew install redis',
        '  Docker           docker run -d -p 6379:6379 redis:7 redis-server --appendonly yes --maxmemory-policy noeviction',
        '                   and then start with REDIS_URL=redis://127.0.0.1:6379/0',
      ],
    },
    options,
  );

/** Undefined if the program runs and is new enough for the queues, else what is wrong with it. */
async function faultOf(program: ServerProgram): Promise<string | undefined> {
  try {
    const [, major = '0', minor = '0'] = /v=(\d+)\.(\d+)/.exec(await versionOf(program)) ?? [];
    const isNewEnough =
      Number(major) > oldestVersion[0] ||
      (Number(major) === oldestVersion[0] && Number(minor) >= oldestVersion[1]);
    if (isNewEnough) return undefined;
    return `${program.path} is ${major}.${minor}; ${oldestVersion.join('.')} or newer is needed`;
  } catch (error) {
    return `${program.path} does not run: ${lastLineOf(error)}`;
  }
}
