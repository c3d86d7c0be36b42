import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { readDevEnv } from '../env.js';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../emulators/firehose/firehose-endpoint.js';
import { prepareDataDir } from '../paths.js';
import { claimPort, loopback } from '../stack/processes/ports.js';
import { openPostgres, type PostgresServer } from '../stack/postgres/postgres.js';
import { startProcess } from '../stack/processes/child-process.js';
import { openRedis, type RedisServer } from '../stack/redis.js';
import { loadSecrets } from '../stack/secrets.js';
import { serviceEnvironment } from '../stack/service-environment.js';
import { keepAlive, type Immortal } from './respawning-process.js';
import { openMailSink, type MailSink } from './mail-sink.js';
import { victims, type Victim } from './plan.js';

/** The whole product on servers of its own, all of which may be hurt. */
export interface Stage {
  readonly api: string;
  readonly postgres: PostgresServer;
  readonly postgresUrl: string;
  readonly redis: RedisServer;
  readonly mail: MailSink;
  readonly firehose: FirehoseEndpoint;
  readonly processes: Readonly<Record<Victim, Immortal>>;
  /** Resolves when the API answers. */
  untilLive(): Promise<void>;
  /** Stops all of it. */
  close(): Promise<void>;
}

/** The stream that the records go to. */
export const STREAM = 'rollcall-local';

const START_WITHIN_MS = 60_000;

const roles: Record<Victim, string> = {
  api: '',
  'worker-1': 'mail,logs',
  'worker-2': 'mail,logs',
  relay: 'relay',
};

/** Opens the stage with all its data below `dataDir`. Redis keeps nothing on disk: a kill loses everything. */
export async function openStage(dataDir: string): Promise<Stage> {
  const releases: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const release of releases.splice(0).toReversed()) await release();
  };
  try {
    return { ...(await openAll(dataDir, (release) => releases.push(release))), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openAll(
  dataDir: string,
  onClose: (release: () => Promise<unknown>) => void,
): Promise<Omit<Stage, 'close'>> {
  const layout = await prepareDataDir(dataDir);
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
  if (!postgres.server || !redis.server) throw new Error('the servers are not our own to hurt');

  const port = await claimPort(0);
  onClose(() => port.release());
  const api = `http://${loopback}:${port.port}`;
  const env = {
    ...serviceEnvironment(readDevEnv(), await loadSecrets(dataDir), {
      api,
      postgres: postgres.url,
      redis: redis.url,
      firehose: firehose.url,
      mail: { host: mail.host, port: mail.port },
    }),
    PORT: String(port.port),
    WORKER_PORT: '0',
    BCRYPT_COST: '4',
    RATE_LIMIT_SCALE: '100000',
    SPOOL_DIR: join(dataDir, 'spool'),
  };
  await migrate(env, join(layout.logs, 'migrations.log'));
  const start = (name: Victim): Immortal => {
    const immortal = keepAlive({
      name,
      script: name === 'api' ? 'dist/api/main.js' : 'dist/workers/main.js',
      env: name === 'api' ? env : { ...env, WORKER_ROLES: roles[name] },
      logFileOf: (life) => join(layout.logs, `${name}-${life}.log`),
    });
    onClose(() => immortal.stop());
    return immortal;
  };
  const processes = Object.fromEntries(victims.map((name) => [name, start(name)])) as Record<
    Victim,
    Immortal
  >;
  const untilLive = () => waitUntilLive(api);
  await untilLive();
  return {
    api,
    untilLive,
    mail,
    firehose,
    processes,
    postgres: postgres.server,
    postgresUrl: postgres.url,
    redis: redis.server,
  };
}

async function waitUntilLive(api: string): Promise<void> {
  const deadline = Date.now() + START_WITHIN_MS;
  const isLive = async (): Promise<boolean> =>
    fetch(`${api}/health/live`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isLive())) {
    if (Date.now() > deadline) throw new Error('the API does not start');
    await delay(50);
  }
}

async function migrate(env: Record<string, string>, logFile: string): Promise<void> {
  const migration = await startProcess({
    name: 'migrations',
    script: 'dist/migrations/run.js',
    args: ['up'],
    env,
    logFile,
  });
  const { code } = await migration.exited;
  if (code !== 0)
    throw new Error(`the migrations failed:\n  ${migration.lastLines().join('\n  ')}`);
}

/** Asks the stage's database. */
export async function ask<R extends object>(stage: Stage, sql: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: stage.postgresUrl });
  await client.connect();
  try {
    return (await client.query<R>(sql)).rows;
  } finally {
    await client.end();
  }
}
