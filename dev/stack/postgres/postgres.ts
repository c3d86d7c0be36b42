import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { readDevEnv } from '../../env.js';
import { prepareDataDir } from '../../paths.js';
import {
  StartError,
  startCommand,
  waitUntilReady,
  type RunningProcess,
} from '../processes/child-process.js';
import { claimPort, loopback } from '../processes/ports.js';
import {
  createServerProcess,
  type ServerProcess,
  type StartOptions,
} from '../processes/server-process.js';
import { prepareCluster, type Cluster } from './cluster.js';

/** A PostgreSQL that this process has started. It restarts on the same port and data. */
export interface PostgresServer extends ServerProcess {
  readonly port: number;
}

/** A PostgreSQL that is ready to use, started here or given by URL. */
export interface Postgres {
  /** The stack's database, with a user that may create others. */
  readonly url: string;
  /** The server, if it was started here. */
  readonly server: PostgresServer | undefined;
  close(): Promise<void>;
}

/** Options of the stack's PostgreSQL. */
export interface PostgresOptions {
  /** An existing database; then no server is started. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  /** Preferred port: the next free one if it is taken; 0 is any. */
  readonly port: number;
  /** False: without fsync. Faster; data survives a killed process, but not a crash of the machine. */
  readonly durable: boolean;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const databaseName = 'rollcall';

/** Opens the stack's PostgreSQL on the preferred port or the next free one, with its data in `dataDir/postgres`. */
export async function openPostgres(options: PostgresOptions): Promise<Postgres> {
  if (options.url !== undefined) {
    return { url: options.url, server: undefined, close: () => Promise.resolve() };
  }
  const layout = await prepareDataDir(options.dataDir);
  const pidFile = join(layout.run, 'postgres.json');
  const cluster = await prepareCluster({ ...options, pidFile });
  const claim = await claimPort(options.port);
  const server = createPostgresServer({
    cluster,
    port: claim.port,
    durable: options.durable,
    logFile: join(layout.logs, 'postgres.log'),
    pidFile,
  });
  try {
    await server.start({ signal: options.signal });
    await ensureDatabase(urlOf(cluster, claim.port, 'postgres'));
    return {
      url: urlOf(cluster, claim.port, databaseName),
      server,
      async close() {
        await server.stop();
        await claim.release();
      },
    };
  } catch (error) {
    await server.stop();
    await claim.release();
    throw error;
  }
}

interface ServerSettings {
  readonly cluster: Cluster;
  readonly port: number;
  readonly durable: boolean;
  readonly logFile: string;
  readonly pidFile: string;
}

function createPostgresServer(settings: ServerSettings): PostgresServer {
  const { cluster, port } = settings;
  const server = createServerProcess({
    name: 'postgres',
    spawn: () => spawnPostmaster(settings),
    waitUntilReady: (running, signal) =>
      waitUntilReady(running, () => answersQuery(urlOf(cluster, port, 'postgres')), {
        timeoutMs: 60_000,
        signal,
      }),
    stopTimeoutMs: 15_000,
  });
  const start = server.start;
  return Object.assign(server, {
    port,
    start: (options: StartOptions = {}) => retryWhileBackendsExit(() => start(options)),
  });
}

/** After a kill -9 of the postmaster its backends exit on their own, soon; until then a new one refuses to start. */
async function retryWhileBackendsExit(start: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    try {
      return await start();
    } catch (error) {
      const isStillInUse =
        error instanceof StartError && /shared memory block|lock file/.test(error.message);
      if (!isStillInUse || Date.now() > deadline) throw error;
      await delay(200);
    }
  }
}

async function spawnPostmaster(settings: ServerSettings): Promise<RunningProcess> {
  const { cluster, port, durable } = settings;
  await cluster.removeStaleLock();
  const configuration = {
    port: String(port),
    listen_addresses: loopback,
    // Sockets in /tmp could clash with a system PostgreSQL.
    unix_socket_directories: '',
    max_connections: '300',
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }),
  };
  return startCommand({
    name: 'postgres',
    command: cluster.programs.postgres,
    args: [
      ...['-D', cluster.folder],
      ...Object.entries(configuration).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    env: { ...readDevEnv().inherited, LC_ALL: 'C' },
    uid: cluster.owner?.uid,
    gid: cluster.owner?.gid,
    logFile: settings.logFile,
    pidFile: settings.pidFile,
    // "Fast" shutdown: sessions are terminated and data is flushed; SIGTERM would wait for every client to disconnect.
    stopSignal: 'SIGINT',
  });
}

function urlOf(cluster: Cluster, port: number, database: string): string {
  return `postgres://${cluster.user}:${cluster.password}@${loopback}:${port}/${database}`;
}

async function answersQuery(url: string): Promise<boolean> {
  await query(url, 'select 1');
  return true;
}

async function ensureDatabase(adminUrl: string): Promise<void> {
  const found = await query(
    adminUrl,
    `select 1 from pg_database where datname = '${databaseName}'`,
  );
  if (found === 0) await query(adminUrl, `create database ${databaseName}`);
}

async function query(url: string, sql: string): Promise<number> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {
    // The query reports failures; without a listener a lost connection would be an uncaught exception.
  });
  await client.connect();
  try {
    return (await client.query(sql)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}
