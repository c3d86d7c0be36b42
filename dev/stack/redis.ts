import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { readDevEnv } from '../env.js';
import { prepareDataDir } from '../paths.js';
import { stopLeftover } from './processes/pid-file.js';
import { claimPort, loopback } from './processes/ports.js';
import { startCommand, waitUntilReady } from './processes/child-process.js';
import { findRedisServer } from './redis-program.js';
import { createServerProcess, type ServerProcess } from './processes/server-process.js';

/** How a local Redis is to run. */
export interface RedisServerOptions {
  readonly port: number;
  /** The folder of its append-only file; made if it is missing. */
  readonly dataDir: string;
  /** False keeps everything in memory: faster, and gone when it stops. */
  readonly persistent: boolean;
  /** What its configuration has besides. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly logFile?: string;
  readonly pidFile?: string;
  /** Says what is being installed, if Redis has to be. */
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A Redis of our own. `kill()` is SIGKILL: with `persistent`, at most the last second of writes is lost (appendfsync everysec). */
export interface RedisServer extends ServerProcess {
  readonly port: number;
  readonly url: string;
}

/** A Redis that is ready to use, ours or somebody else's. */
export interface Redis {
  readonly url: string;
  /** Set if the server is ours. */
  readonly server: RedisServer | undefined;
  close(): Promise<void>;
}

/** Options of the stack's Redis. */
export interface RedisOptions {
  /** A Redis that runs already; then nothing is started. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  /** Preferred port: taken if free, else the next one; 0 is any. */
  readonly port: number;
  readonly persistent: boolean;
  /** What its configuration has besides. */
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
  // Before a port is chosen, or what a killed run left behind would still hold it.
  await stopLeftover(pidFile);
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

/** Starts a Redis on exactly this port and resolves when it answers; it can be killed and started again. */
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
  settings: others,
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
    // Test files isolate themselves by database number.
    databases: '1024',
    daemonize: 'no',
    ...others,
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
