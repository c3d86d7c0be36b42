import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { readDevEnv } from '../../env.js';
import { prepareDataDir } from '../../paths.js';
import { claimPort, loopback } from '../processes/ports.js';
import { prepareCluster, type Cluster } from './cluster.js';
import {
  StartError,
  startCommand,
  waitUntilReady,
  type RunningProcess,
} from '../processes/child-process.js';
import {
  createServerProcess,
  type ServerProcess,
  type StartOptions,
} from '../processes/server-process.js';

/** A PostgreSQL of our own: it can be stopped or killed and started again on the same port and data. */
export interface PostgresServer extends ServerProcess {
  readonly port: number;
}

/** A PostgreSQL that is ready to use, ours or somebody else's. */
export interface Postgres {
  /** Connects to the stack's database as a user that may create others. */
  readonly url: string;
  /** Set if the server is ours. */
  readonly server: PostgresServer | undefined;
  close(): Promise<void>;
}

/** Options of the stack's PostgreSQL. */
export interface PostgresOptions {
  /** A database that exists already; then nothing is started. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  /** Preferred port: taken if free, else the next one; 0 is any. */
  readonly port: number;
  /** False switches fsync off: faster, and safe against a killed process, but not against a crash of the machine. */
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
    stopPatienceMs: 15_000,
  });
  const start = server.start;
  return Object.assign(server, {
    port,
    start: (options: StartOptions = {}) => retryWhileBackendsLeave(() => start(options)),
  });
}

/** After a kill -9 of the postmaster its backends leave on their own, within moments; until then a new one refuses to start. */
async function retryWhileBackendsLeave(start: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    try {
      return await start();
    } catch (error) {
      const isLeftover =
        error instanceof StartError && /shared memory block|lock file/.test(error.message);
      if (!isLeftover || Date.now() > deadline) throw error;
      await delay(200);
    }
  }
}

async function spawnPostmaster(settings: ServerSettings): Promise<RunningProcess> {
  const { cluster, port, durable } = settings;
  await cluster.makeStartable();
  const configuration = {
    port: String(port),
    listen_addresses: loopback,
    // Sockets in /tmp would clash with a PostgreSQL of the system.
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
    // "Fast" shutdown: sessions are ended, data are written; SIGTERM would wait for every client to leave.
    stopSignal: 'SIGINT',
  });
}

function urlOf(cluster: Cluster, port: number, database: string): string {
  return `postgres://${cluster.user}:${cluster.password}@${loopback}:${port}/${database}`;
}

async function answersQuery(url: string): Promise<boolean> {
  try {
    await query(url, 'select 1');
    return true;
  } catch {
    return false;
  }
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
    // Reported by the query itself; without a listener a lost connection would end this process.
  });
  await client.connect();
  try {
    return (await client.query(sql)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}
