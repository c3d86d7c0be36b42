import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { workerRoles } from '../../shared/queues/registry.js';
import { readDevEnv } from '../env.js';
import { prepareDataDir } from '../paths.js';
import { openPostgres, type PostgresServer } from '../stack/postgres/postgres.js';
import { runMigrations } from '../stack/processes/application.js';
import { startProcess, type RunningProcess } from '../stack/processes/child-process.js';
import { claimPort, loopback } from '../stack/processes/ports.js';
import { openRedis, type RedisServer } from '../stack/redis.js';
import { openWithClose, type OnClose } from '../stack/releases.js';
import { loadSecrets } from '../stack/secrets.js';
import { serviceEnvironment } from '../stack/service-environment.js';
import { openInboxes, OPERATOR, type Inboxes } from './inboxes.js';

/** An API, workers, and the servers that they need, each of which can be made to fail. */
export interface AlertsEnvironment {
  readonly api: string;
  readonly postgres: PostgresServer;
  readonly redis: Readonly<Record<'main' | 'logs', RedisServer>>;
  readonly inboxes: Inboxes;
  /** The spool of all processes. */
  readonly spoolDir: string;
  readonly processes: Readonly<Record<ProcessName, Program>>;
  /** Runs a statement as the administrator, also on a server that is read-only; in our database unless another is named. */
  sql(text: string, database?: string): Promise<Record<string, unknown>[]>;
  /** Runs a command on a Redis. */
  command(name: 'main' | 'logs', ...words: string[]): Promise<unknown>;
  close(): Promise<void>;
}

/** `worker` has all roles; `extra` ships logs, and can be told to crash. */
export type ProcessName = 'api' | 'worker' | 'extra';

/** A process that can be started again. */
export interface Program {
  start(): Promise<void>;
  /** In order. */
  stop(): Promise<void>;
  signal(signal: NodeJS.Signals): Promise<void>;
}

const scripts: Record<ProcessName, string> = {
  api: 'dist/api/main.js',
  worker: 'dist/workers/main.js',
  extra: 'dist/workers/main.js',
};

/** On SIGUSR2 the process meets a defect. */
const DEFECT = `--import data:text/javascript,${encodeURIComponent(
  `process.on('SIGUSR2', () => { throw new TypeError('a defect on purpose') })`,
)}`;

/** Opens everything with its data below `dataDir`. */
export const openAlertsEnvironment = (dataDir: string): Promise<AlertsEnvironment> =>
  openWithClose((onClose) => open(dataDir, onClose));

async function open(dataDir: string, onClose: OnClose): Promise<Omit<AlertsEnvironment, 'close'>> {
  const layout = await prepareDataDir(dataDir);
  const postgres = await openPostgres({ dataDir, port: 0, durable: false });
  onClose(() => postgres.close());
  const redis = {
    main: await openOwnRedis(join(dataDir, 'main'), onClose),
    logs: await openOwnRedis(join(dataDir, 'logs'), onClose),
  };
  const inboxes = await openInboxes();
  onClose(() => inboxes.close());
  if (!postgres.server) throw new Error('the script needs servers that it has started itself');
  const claim = await claimPort(0);
  onClose(() => claim.release());
  const api = `http://${loopback}:${claim.port}`;
  const spoolDir = join(dataDir, 'spool');
  const env = {
    ...serviceEnvironment(readDevEnv(), await loadSecrets(dataDir), {
      api,
      postgres: postgres.url,
      redis: redis.main.url,
      firehose: inboxes.firehoseUrl,
      mail: inboxes.smtp,
    }),
    PORT: String(claim.port),
    WORKER_PORT: '0',
    BCRYPT_COST: '4',
    RATE_LIMIT_SCALE: '100000',
    REDIS_URL_LOGS: redis.logs.url,
    SPOOL_DIR: spoolDir,
    // A segment, which is dropped as a whole, is less than a quarter of it.
    SPOOL_MAX_MIB: '4',
    ALERT_EMAILS: OPERATOR,
    ALERT_WEBHOOK_URL: inboxes.webhookUrl,
    HEARTBEAT_URL: inboxes.heartbeatUrl,
  };
  await runMigrations(env, layout);
  const program = (name: ProcessName, more: Record<string, string>): Program =>
    createProgram(name, { ...env, ...more }, join(layout.logs, `${name}.log`), onClose);
  const processes = {
    api: program('api', {}),
    worker: program('worker', { WORKER_ROLES: workerRoles.join() }),
    extra: program('extra', { WORKER_ROLES: 'logs', NODE_OPTIONS: DEFECT }),
  };
  return {
    api,
    postgres: postgres.server,
    redis,
    inboxes,
    spoolDir,
    processes,
    sql: (text, database) => runSql(postgres.url, text, database),
    command: (name, ...words) => runCommand(redis[name].url, words),
  };
}

async function openOwnRedis(dataDir: string, onClose: OnClose): Promise<RedisServer> {
  const redis = await openRedis({ dataDir, port: 0, persistent: false });
  onClose(() => redis.close());
  if (!redis.server) throw new Error('the script needs servers that it has started itself');
  return redis.server;
}

function createProgram(
  name: ProcessName,
  env: Readonly<Record<string, string>>,
  logFile: string,
  onClose: OnClose,
): Program {
  let running: RunningProcess | undefined;
  const stop = async (): Promise<void> => {
    await running?.stop(30_000);
    running = undefined;
  };
  onClose(stop);
  return {
    async start() {
      running = await startProcess({ name, script: scripts[name], env, logFile });
    },
    stop,
    async signal(signal) {
      running?.kill(signal);
      await running?.exited;
      running = undefined;
    },
  };
}

async function runSql(
  url: string,
  text: string,
  database: string | undefined,
): Promise<Record<string, unknown>[]> {
  const address = new URL(url);
  if (database !== undefined) address.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: address.href });
  await client.connect();
  try {
    await client.query('set default_transaction_read_only = off');
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function runCommand(url: string, [name = '', ...args]: string[]): Promise<unknown> {
  const client = new Redis(url, { lazyConnect: true });
  try {
    await client.connect();
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}
