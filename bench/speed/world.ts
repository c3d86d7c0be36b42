import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { readDevEnv } from '../../dev/env.js';
import { prepareDataDir, projectRoot, type DataLayout } from '../../dev/paths.js';
import { runMigrations } from '../../dev/stack/processes/application.js';
import { waitUntilReady } from '../../dev/stack/processes/child-process.js';
import { claimPort, loopback } from '../../dev/stack/processes/ports.js';
import { loadSecrets, type LocalSecrets } from '../../dev/stack/secrets.js';
import { serviceEnvironment } from '../../dev/stack/service-environment.js';
import { openStack, type Stack } from '../../dev/stack/stack.js';
import type { CpuSet } from './cpus.js';
import { createDataset, type Dataset, type DatasetSize } from './dataset.js';
import { startGenerator, type Generator } from './load/generator.js';
import { startMeasuredProcess, type MeasuredProcess } from './measured-process.js';

/** The servers, the data and the load generator that the measurements share. */
export interface World {
  readonly stack: Stack;
  readonly data: Dataset;
  readonly generator: Generator;
  readonly signal: AbortSignal;
  /** The product's API or worker, or a baseline. Started at the first call with a name, and kept. */
  server(spec: ServerSpec): Promise<MeasuredServer>;
  /** Stops a server; the next call for it starts another. */
  stop(name: string): Promise<void>;
  /** The variables that a program of the product gets. */
  environmentOf(spec: ServerSpec): Record<string, string>;
  /** A Redis for log batches that are measured, empty, and its URL. */
  readonly logsRedis: Redis;
  readonly logsUrl: string;
  /** Empties the log files. */
  tidy(): Promise<void>;
  close(): Promise<void>;
}

/** A server under test, which listens on loopback. */
export interface MeasuredServer extends MeasuredProcess {
  readonly port: number;
  readonly logFile: string;
  /** From the start of the process until it accepted a connection. */
  readonly listeningAfterMs: number;
}

/** How a server is started. */
export interface ServerSpec {
  readonly name: string;
  readonly program: ProductProgram | BaselineProgram;
  /** Variables beside those of production. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly cpus?: CpuSet;
}

/** A compiled program that gets the environment of production, below `dist/` and without its extension. */
export interface ProductProgram {
  readonly script:
    | 'api/main'
    | 'workers/main'
    | 'bench/speed/programs/log-drain'
    | 'bench/speed/programs/log-writer';
}

/** A program in `bench/baselines/`, and what it is told beside its port and the database. */
export interface BaselineProgram {
  readonly baseline: string;
  readonly settings?: object;
}

/** The address that tokens are issued for. Production wants https; nothing is sent to it. */
const PUBLIC_URL = 'https://rollcall.example';

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 3;
/** Database numbers of log batches: of those that are drained, and of those that are measured. */
const DRAINED_LOGS = '/1';
const MEASURED_LOGS = '/2';

interface Running {
  readonly server: MeasuredServer;
  close(): Promise<void>;
}

interface WorldState extends Pick<World, 'stack' | 'signal' | 'logsRedis'> {
  readonly layout: DataLayout;
  readonly secrets: LocalSecrets;
  readonly servers: Map<string, Promise<Running>>;
}

/** Opens the local stack with its database on disk and fsync on, and fills it. */
export async function openWorld(
  dataDir: string,
  size: DatasetSize,
  signal: AbortSignal,
): Promise<World> {
  const stack = await openStack({ dataDir, ports: 'any', signal });
  const layout = await prepareDataDir(dataDir);
  const secrets = await loadSecrets(dataDir);
  const logsRedis = new Redis(databaseOf(stack, MEASURED_LOGS), { lazyConnect: true });
  const servers: WorldState['servers'] = new Map();
  const state = { stack, signal, layout, secrets, logsRedis, servers };
  const generator = startGenerator();
  // What is being measured fails at once, and all is closed.
  signal.addEventListener('abort', () => generator.close());
  const closeServers = async (): Promise<void> => {
    generator.close();
    await Promise.all([...servers.keys()].map((name) => stop(state, name)));
    logsRedis.disconnect();
    await stack.close();
  };
  try {
    await runMigrations(productEnvironment(state, 'migrations', 0), layout);
    await serverOf(state, logDrain);
    const data = await createDataset(stack.postgresUrl, size, {
      publicUrl: PUBLIC_URL,
      secretKey: secrets.secretKey,
    });
    return {
      stack,
      data,
      generator,
      signal,
      logsRedis,
      logsUrl: databaseOf(stack, MEASURED_LOGS),
      server: (spec) => serverOf(state, spec),
      stop: (name) => stop(state, name),
      environmentOf: ({ name, variables }) => ({
        ...productEnvironment(state, name, 0),
        ...variables,
      }),
      tidy: () => tidy(state),
      async close() {
        await data.close();
        await closeServers();
      },
    };
  } catch (error) {
    await closeServers();
    throw error;
  }
}

async function serverOf(state: WorldState, spec: ServerSpec): Promise<MeasuredServer> {
  const started = state.servers.get(spec.name) ?? start(state, spec);
  state.servers.set(spec.name, started);
  return (await started).server;
}

async function start(state: WorldState, spec: ServerSpec): Promise<Running> {
  const { name, program, cpus = 'measured' } = spec;
  const claim = await claimPort(0);
  const { port } = claim;
  const isProduct = 'script' in program;
  const logFile = join(state.layout.logs, `${name}.log`);
  const startedAt = performance.now();
  const running = await startMeasuredProcess({
    name,
    args: isProduct ? productArguments(program) : baselineArguments(state, program, port),
    env: isProduct
      ? { ...productEnvironment(state, name, port), ...spec.variables }
      : { NODE_ENV: 'production', PATH: readDevEnv().inherited['PATH'] ?? '', ...spec.variables },
    logFile,
    cpus,
  });
  const close = async (): Promise<void> => {
    // A paused process would not see the signal to stop.
    running.kill('SIGCONT');
    await running.stop();
    await claim.release();
  };
  try {
    await waitUntilListening(running, port, state.signal);
    const listeningAfterMs = performance.now() - startedAt;
    const path = isProduct ? '/health/ready' : '/health/live';
    await waitUntilReady(running, () => isReady(port, path), {
      timeoutMs: START_TIMEOUT_MS,
      signal: state.signal,
    });
    return { server: { ...running, port, logFile, listeningAfterMs }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const productArguments = ({ script }: ProductProgram): string[] => [
  '--enable-source-maps',
  join(projectRoot, 'dist', `${script}.js`),
];

function baselineArguments(
  { stack }: WorldState,
  program: BaselineProgram,
  port: number,
): string[] {
  const { postgresUrl } = stack;
  const settings = { port, host: loopback, postgresUrl, ...program.settings };
  return [
    join(projectRoot, 'bench/baselines', `${program.baseline}.mjs`),
    JSON.stringify(settings),
  ];
}

function productEnvironment(
  { stack, secrets, layout }: Omit<WorldState, 'servers'>,
  name: string,
  port: number,
): Record<string, string> {
  const { inherited } = readDevEnv();
  const env = {
    ...readDevEnv(),
    dataDir: layout.root,
    inherited: { PATH: inherited['PATH'] ?? '' },
  };
  return {
    ...serviceEnvironment(env, secrets, {
      api: PUBLIC_URL,
      postgres: stack.postgresUrl,
      redis: stack.redisUrl,
      firehose: stack.firehoseUrl,
      mail: stack.mail,
    }),
    NODE_ENV: 'production',
    APP_ENV: 'production',
    REDIS_URL_LOGS: databaseOf(stack, DRAINED_LOGS),
    // Processes that share a folder take over what another has left.
    SPOOL_DIR: join(layout.root, 'spool', name),
    PORT: String(port),
    WORKER_PORT: String(port),
  };
}

const databaseOf = ({ redisUrl }: Stack, pathname: string): string =>
  Object.assign(new URL(redisUrl), { pathname }).href;

const logDrain: ServerSpec = {
  name: 'log-drain',
  program: { script: 'bench/speed/programs/log-drain' },
  cpus: 'other',
};

/** Tries every few milliseconds: the time is a measurement. */
async function waitUntilListening(
  running: MeasuredProcess,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let hasExited = false;
  void running.exited.then(() => (hasExited = true));
  while (!(await accepts(port))) {
    signal.throwIfAborted();
    if (hasExited || performance.now() > deadline)
      throw new Error(`${running.name} does not listen:\n  ${running.lastLines().join('\n  ')}`);
    await delay(POLL_MS);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: loopback });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function isReady(port: number, path: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${loopback}:${port}${path}`, {
      signal: AbortSignal.timeout(2_000),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

async function stop({ servers }: WorldState, name: string): Promise<void> {
  const started = servers.get(name);
  servers.delete(name);
  // A server that could not be started has been reported.
  const running = await started?.catch(() => undefined);
  await running?.close();
}

async function tidy({ servers }: WorldState): Promise<void> {
  for (const started of servers.values()) await (await started).server.emptyLog();
}
