import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { readDevEnv } from '../env.js';
import { prepareDataDir, projectRoot } from '../paths.js';
import { startCommand, waitUntilReady } from './processes/child-process.js';
import { stopOrphan } from './processes/pid-file.js';
import { claimPort, loopback } from './processes/ports.js';
import { createServerProcess, type ServerProcess } from './processes/server-process.js';
import {
  findServerProgram,
  lastLineOf,
  versionOf,
  type SearchOptions,
  type ServerProgram,
} from './processes/server-program.js';

/** Settings of one Redis server. */
interface RedisServerOptions {
  readonly port: number;
  /** The folder of its append-only file; created if it is missing. */
  readonly dataDir: string;
  /** False: data is kept in memory alone, and lost when it stops. */
  readonly persistent: boolean;
  /** Further settings of its configuration. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly logFile?: string;
  readonly pidFile?: string;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A Redis that this process has started. With `persistent`, `kill()` loses at most the last second of writes (appendfsync everysec). */
export interface RedisServer extends ServerProcess {
  readonly port: number;
  readonly url: string;
}

/** A Redis that is ready to use, started here or given by URL. */
export interface Redis {
  readonly url: string;
  /** The server, if it was started here. */
  readonly server: RedisServer | undefined;
  close(): Promise<void>;
}

/** Options of the stack's Redis. */
export interface RedisOptions {
  /** A running Redis; then none is started. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  /** Preferred port: the next free one if it is taken; 0 is any. */
  readonly port: number;
  readonly persistent: boolean;
  /** Further settings of its configuration. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Opens the stack's Redis on the preferred port or the next free one, with its data in `dataDir/redis`. */
export async function openRedis(options: RedisOptions): Promise<Redis> {
  if (options.url !== undefined) {
    return { url: options.url, server: undefined, close: () => Promise.resolve() };
  }
  const { port: preferredPort, dataDir, url: _, ...rest } = options;
  const layout = await prepareDataDir(dataDir);
  const pidFile = join(layout.run, 'redis.json');
  // Before a port is chosen: an orphan of a killed run would still hold it.
  await stopOrphan(pidFile);
  const claim = await claimPort(preferredPort);
  try {
    const server = await startRedisServer({
      ...rest,
      port: claim.port,
      dataDir: join(dataDir, 'redis'),
      logFile: join(layout.logs, 'redis.log'),
      pidFile,
    });
    return {
      url: server.url,
      server,
      async close() {
        await server.stop();
        await claim.release();
      },
    };
  } catch (error) {
    await claim.release();
    throw error;
  }
}

/** Starts a Redis on exactly this port, and resolves when it answers. */
async function startRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  const { port, dataDir, signal } = options;
  const program = await findRedisServer(options);
  await mkdir(dataDir, { recursive: true });
  const server = createServerProcess({
    name: 'redis',
    spawn: () =>
      startCommand({
        name: 'redis',
        command: program.path,
        args: redisArguments(options),
        env: { ...readDevEnv().inherited, ...program.env },
        logFile: options.logFile ?? join(dataDir, 'redis.log'),
        ...(options.pidFile === undefined ? {} : { pidFile: options.pidFile }),
      }),
    waitUntilReady: (running, startSignal) =>
      waitUntilReady(running, () => answersPing(port), { timeoutMs: 30_000, signal: startSignal }),
  });
  await server.start({ signal });
  return Object.assign(server, { port, url: `redis://${loopback}:${port}/0` });
}

function redisArguments({
  port,
  dataDir,
  persistent,
  settings: overrides,
}: RedisServerOptions): string[] {
  const settings = {
    bind: loopback,
    port: String(port),
    dir: dataDir,
    appendonly: persistent ? 'yes' : 'no',
    appendfsync: 'everysec',
    // Snapshots would only repeat what the append-only file holds.
    save: '',
    maxmemory: '256mb',
    'maxmemory-policy': 'noeviction',
    // Each test file uses a database number of its own.
    databases: '1024',
    daemonize: 'no',
    ...overrides,
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/** True once Redis has loaded its data: before that it answers PING with -LOADING. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: loopback });
    socket.setTimeout(1_000, () => socket.destroy());
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (answer) => {
      resolve(answer.toString('latin1').startsWith('+PONG'));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

const oldestVersion = [6, 2] as const;

/** Finds `redis-server` or `valkey-server`, or installs one. Rejects with the commands that would help. */
const findRedisServer = (options: SearchOptions): Promise<ServerProgram> =>
  findServerProgram(
    {
      names: ['redis-server', 'valkey-server'],
      packageName: 'redis-server',
      companions: ['redis-tools'],
      unpackDir: join(projectRoot, '.local', 'redis-server'),
      faultOf: faultOfProgram,
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

/** Undefined if the program runs and is new enough for BullMQ, else what is wrong with it. */
async function faultOfProgram(program: ServerProgram): Promise<string | undefined> {
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
