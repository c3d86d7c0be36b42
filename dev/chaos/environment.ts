import { join } from 'node:path';
import pg from 'pg';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../emulators/firehose/firehose-endpoint.js';
import { readDevEnv } from '../env.js';
import { prepareDataDir, type DataLayout } from '../paths.js';
import { openPostgres, type PostgresServer } from '../stack/postgres/postgres.js';
import { runMigrations, untilLive } from '../stack/processes/application.js';
import { claimPort, loopback } from '../stack/processes/ports.js';
import { openRedis, type RedisServer } from '../stack/redis.js';
import { openWithClose, type OnClose } from '../stack/releases.js';
import { loadSecrets } from '../stack/secrets.js';
import { serviceEnvironment } from '../stack/service-environment.js';
import { openMailSink, type MailSink } from './mail-sink.js';
import { startRespawning, type RespawningProcess } from './respawning-process.js';

/** The API, the workers and the servers they need, every one of which can be made to fail. */
export interface ChaosEnvironment extends Servers {
  /** The API's URL. */
  readonly api: string;
  readonly processes: Processes;
  /** Stops everything. */
  close(): Promise<void>;
}

interface Servers {
  readonly postgres: PostgresServer;
  readonly postgresUrl: string;
  readonly redis: RedisServer;
  readonly mail: MailSink;
  readonly firehose: FirehoseEndpoint;
}

type Processes = Readonly<Record<ProcessName, RespawningProcess>>;

/** A process that is killed with SIGKILL and started again. */
export type ProcessName = (typeof processNames)[number];
export const processNames = ['api', 'worker-1', 'worker-2', 'relay'] as const;

/** The delivery stream of the log records. */
export const STREAM = 'rollcall-local';

const workerRoles: Record<Exclude<ProcessName, 'api'>, string> = {
  'worker-1': 'mail,logs',
  'worker-2': 'mail,logs',
  relay: 'relay',
};

/**
 * Opens the environment with all its data below `dataDir`. Redis keeps nothing on disk, so that killing it loses all of
 * its data.
 */
export const openChaosEnvironment = (dataDir: string): Promise<ChaosEnvironment> =>
  openWithClose(async (onClose) => {
    const layout = await prepareDataDir(dataDir);
    const servers = await openServers(dataDir, onClose);
    const port = await claimPort(0);
    onClose(() => port.release());
    const api = `http://${loopback}:${port.port}`;
    const env = await processEnvironment(dataDir, servers, { api, port: port.port });
    await runMigrations(env, layout);
    const processes = startProcesses(layout, env, onClose);
    await untilLive(api);
    return { api, ...servers, processes };
  });

async function openServers(dataDir: string, onClose: OnClose): Promise<Servers> {
  const postgres = await openPostgres({ dataDir, port: 0, durable: false });
  onClose(() => postgres.close());
  const redis = await openRedis({ dataDir, port: 0, persistent: false });
  onClose(() => redis.close());
  const mail = await openMailSink();
  onClose(() => mail.close());
  const firehose = await openFirehoseEndpoint({
    dataDir: join(dataDir, 'firehose'),
    port: 0,
    host: loopback,
  });
  onClose(() => firehose.close());
  if (!postgres.server || !redis.server)
    throw new Error('chaos needs servers that it has started itself');
  return {
    postgres: postgres.server,
    postgresUrl: postgres.url,
    redis: redis.server,
    mail,
    firehose,
  };
}

async function processEnvironment(
  dataDir: string,
  { postgresUrl, redis, mail, firehose }: Servers,
  { api, port }: { api: string; port: number },
): Promise<Record<string, string>> {
  return {
    ...serviceEnvironment(readDevEnv(), await loadSecrets(dataDir), {
      api,
      postgres: postgresUrl,
      redis: redis.url,
      firehose: firehose.url,
      mail: { host: mail.host, port: mail.port },
    }),
    PORT: String(port),
    WORKER_PORT: '0',
    BCRYPT_COST: '4',
    RATE_LIMIT_SCALE: '100000',
    SPOOL_DIR: join(dataDir, 'spool'),
  };
}

function startProcesses(
  layout: DataLayout,
  env: Record<string, string>,
  onClose: OnClose,
): Processes {
  const start = (name: ProcessName): RespawningProcess => {
    const respawning = startRespawning({
      name,
      script: name === 'api' ? 'dist/api/main.js' : 'dist/workers/main.js',
      env: name === 'api' ? env : { ...env, WORKER_ROLES: workerRoles[name] },
      logFileOf: (run) => join(layout.logs, `${name}-${run}.log`),
    });
    onClose(() => respawning.stop());
    return respawning;
  };
  return Object.fromEntries(processNames.map((name) => [name, start(name)])) as Record<
    ProcessName,
    RespawningProcess
  >;
}

/** Runs a query on the environment's database. */
export async function query<R extends object>(
  { postgresUrl }: ChaosEnvironment,
  sql: string,
): Promise<R[]> {
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    return (await client.query<R>(sql)).rows;
  } finally {
    await client.end();
  }
}
