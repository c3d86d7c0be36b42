import { join } from 'node:path';
import { loadApiConfig } from '../../shared/config/config.js';
import { listenForStop, readOptions } from '../command-line.js';
import { printBanner } from '../console/banner.js';
import { followLog } from '../console/log-follower.js';
import { createTerminal, type Terminal } from '../console/terminal.js';
import { startSesSimulator } from '../emulators/ses-simulator.js';
import { readDevEnv, type DevEnv } from '../env.js';
import { inDataDir, prepareDataDir, type DataLayout } from '../paths.js';
import {
  createApplicationProcess,
  runMigrations,
  type ApplicationProcess,
} from '../stack/processes/application.js';
import {
  claimPidFile,
  findLiveProcess,
  releasePidFile,
  stopOrphan,
} from '../stack/processes/pid-file.js';
import { loopback } from '../stack/processes/ports.js';
import type { ServerProcess } from '../stack/processes/server-process.js';
import { supervise } from '../stack/processes/supervisor.js';
import { loadSecrets, saveSecrets, type LocalSecrets } from '../stack/secrets.js';
import { releaseAll, type Release } from '../stack/releases.js';
import type { openSeeder as OpenSeeder } from '../stack/seeder.js';
import { serviceEnvironment } from '../stack/service-environment.js';
import { defaultPorts, openStack, type Stack } from '../stack/stack.js';
import { claimStackFile, type StackDescription, type StackFile } from '../stack/stack-file.js';

// `npm run dev`: the whole product on this machine, until Ctrl-C.

const apiPort = 5000;
const workerPort = 8080;

const USAGE = `usage: npm run dev

Starts PostgreSQL, Redis, a mailbox, a Firehose endpoint, the API and a worker, and prints their addresses. Ctrl-C stops all.
Each listens on ${loopback}, at its port or the next free one: API ${apiPort}, worker ${workerPort}, PostgreSQL ${defaultPorts.postgres},
Redis ${defaultPorts.redis}, mailbox ${defaultPorts.mailbox}, its SMTP ${defaultPorts.smtp}, Firehose ${defaultPorts.firehose}.

  DEV_DATA_DIR    folder of the data and the logs, instead of .local; needed to run a second stack
  DATABASE_URL    PostgreSQL to use instead of starting one: the database, empty or Rollcall's, is migrated
  REDIS_URL       Redis to use instead of starting one

Other variables of README.md go to the API and the worker, except those that name servers; those of libpq, such as PGHOST, do not.
`;

/** One run of the stack, shared by all steps of its start. */
interface Session {
  readonly env: DevEnv;
  readonly layout: DataLayout;
  secrets: LocalSecrets;
  readonly stackFile: StackFile;
  readonly terminal: Terminal;
  readonly stop: AbortSignal;
  readonly startedAt: number;
  /** Release what has been opened, in the order of opening; called in reverse. */
  readonly releases: Release[];
}

process.exitCode = await main();

async function main(): Promise<number> {
  const given = readOptions(USAGE, { options: { help: { type: 'boolean' } } });
  if (!given) return 64;
  if (given.values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const startedAt = Date.now();
  const stop = listenForStop();
  const env = readDevEnv();
  const terminal = createTerminal(process.stdout, env.colour);
  let session: Session | undefined;
  try {
    session = await openSession({ env, terminal, stop, startedAt });
    if (session === undefined) return 1;
    await runUntilStopped(session);
    return 0;
  } catch (error) {
    if (stop.aborted) return 0;
    terminal.say(`\n${terminal.red('Rollcall could not be kept running.')} ${messageOf(error)}`);
    return 1;
  } finally {
    if (session !== undefined) {
      await stopAll(session);
      await releasePidFile(lockOf(session.layout));
    }
  }
}

function lockOf(layout: DataLayout): string {
  return join(layout.run, 'dev.json');
}

/** Takes over the data folder; `undefined`, after saying so, if Rollcall runs there already. */
async function openSession(
  run: Pick<Session, 'env' | 'terminal' | 'stop' | 'startedAt'>,
): Promise<Session | undefined> {
  const { dataDir } = run.env;
  const layout = await prepareDataDir(dataDir);
  const lock = lockOf(layout);
  if (!(await inDataDir(dataDir, () => claimPidFile(lock)))) {
    const holder = await findLiveProcess(lock);
    run.terminal.say(
      `Rollcall runs here already (process ${holder?.pid ?? 'unknown'}); ${join(dataDir, 'stack.json')} says where. ` +
        'Stop it there with Ctrl-C, or set DEV_DATA_DIR to run a second one.',
    );
    return undefined;
  }
  return inDataDir(dataDir, async () => ({
    ...run,
    layout,
    secrets: await loadSecrets(dataDir),
    stackFile: await claimStackFile(dataDir),
    releases: [],
  }));
}

async function runUntilStopped(session: Session): Promise<void> {
  await stopOrphans(session);
  await checkGiven(session);
  // Loading the API's services takes a second: done while the servers start.
  const [stack, { openSeeder }] = await Promise.all([
    openServices(session),
    import('../stack/seeder.js'),
  ]);
  await migrate(session, stack);
  await ensureOperator(session, stack, openSeeder);
  followLogs(session, ['api', 'worker']);
  const { api, worker } = await createApplication(session, stack);
  await Promise.all([api, worker].map((server) => server.start({ signal: session.stop })));

  const simulator = startSesSimulator({
    ...stack.services.mailbox,
    workerUrl: worker.url,
    onProblem: (text) => session.terminal.say(text),
  });
  session.releases.push(() => simulator.stop());
  const describe = () => describeStack(session, stack, api, worker);
  await session.stackFile.write(describe());
  session.releases.push(() => session.stackFile.remove());
  printBanner(session.terminal, describe(), {
    logsDir: session.layout.logs,
    seconds: (Date.now() - session.startedAt) / 1_000,
  });
  await keepRunning(session, [...serversOf(stack), api, worker], describe);
}

/** Stops processes orphaned by a run that was killed, in the order of a regular stop: dependents before their servers. */
async function stopOrphans({ layout, terminal }: Session): Promise<void> {
  const stopped: string[] = [];
  for (const name of ['api', 'worker', 'mailbox', 'redis', 'postgres']) {
    const pid = await stopOrphan(join(layout.run, `${name}.json`));
    if (pid !== undefined) stopped.push(name);
  }
  if (stopped.length > 0)
    terminal.say(`Stopped processes of an earlier run: ${stopped.join(', ')}.`);
}

/** Says which servers of the environment are used, and checks them before anything is done to them. */
async function checkGiven({ env, secrets, terminal, stop }: Session): Promise<void> {
  const given = { DATABASE_URL: env.databaseUrl, REDIS_URL: env.redisUrl };
  const names = Object.entries(given).flatMap(([name, url]) => (url === undefined ? [] : [name]));
  if (names.length === 0) return;
  terminal.say(`Using ${names.join(' and ')} from the environment.`);
  const { checkGivenServers } = await import('../stack/given-servers.js');
  await checkGivenServers(env, secrets);
  stop.throwIfAborted();
}

async function openServices({ env, terminal, stop, releases }: Session): Promise<Stack> {
  const stack = await openStack({
    dataDir: env.dataDir,
    ports: 'default',
    databaseUrl: env.databaseUrl,
    redisUrl: env.redisUrl,
    signal: stop,
    onProgress: (line) => terminal.say(line),
  });
  releases.push(() => stack.close());
  stop.throwIfAborted();
  return stack;
}

async function migrate(session: Session, stack: Stack): Promise<void> {
  await runMigrations(environmentFor(session, stack, 'http://localhost'), session.layout);
  session.stop.throwIfAborted();
}

async function ensureOperator(
  session: Session,
  stack: Stack,
  openSeeder: typeof OpenSeeder,
): Promise<void> {
  const seeder = await openSeeder(
    loadApiConfig(environmentFor(session, stack, 'http://localhost')),
  );
  try {
    const operator = await seeder.ensureAdmin({
      ...session.secrets.operator,
      name: 'Rollcall operator',
    });
    session.secrets = { ...session.secrets, operator };
    await saveSecrets(session.env.dataDir, session.secrets);
  } finally {
    await seeder.close();
  }
  session.stop.throwIfAborted();
}

async function createApplication(
  session: Session,
  stack: Stack,
): Promise<{ api: ApplicationProcess; worker: ApplicationProcess }> {
  const { layout, releases } = session;
  const worker = await createApplicationProcess(
    {
      name: 'worker',
      script: 'dist/workers/main.js',
      portVariable: 'WORKER_PORT',
      preferredPort: workerPort,
      layout,
    },
    () => environmentFor(session, stack, api.url),
  );
  releases.push(() => worker.close());
  const api = await createApplicationProcess(
    {
      name: 'api',
      script: 'dist/api/main.js',
      portVariable: 'PORT',
      preferredPort: apiPort,
      layout,
    },
    (url) => environmentFor(session, stack, url),
  );
  releases.push(() => api.close());
  return { api, worker };
}

function environmentFor(
  { env, secrets }: Session,
  stack: Stack,
  apiUrl: string,
): Record<string, string> {
  return serviceEnvironment(env, secrets, {
    api: apiUrl,
    postgres: stack.postgresUrl,
    redis: stack.redisUrl,
    firehose: stack.firehoseUrl,
    mail: stack.mail,
  });
}

function serversOf({ services }: Stack): ServerProcess[] {
  return [services.postgres.server, services.redis.server, services.mailbox.server].filter(
    (server) => server !== undefined,
  );
}

function describeStack(
  { env, secrets }: Session,
  stack: Stack,
  api: ApplicationProcess,
  worker: ApplicationProcess,
): StackDescription {
  const pids = [...serversOf(stack), api, worker].flatMap(({ name, pid }) =>
    pid === undefined ? [] : [[name, pid] as const],
  );
  const opsPort = env.inherited['OPS_PORT'];
  return {
    api: api.url,
    console: `${opsPort === undefined ? api.url : `http://${loopback}:${opsPort}`}/ops`,
    worker: worker.url,
    mailbox: stack.mailboxUrl,
    firehose: stack.firehoseUrl,
    postgres: stack.postgresUrl,
    redis: stack.redisUrl,
    operator: secrets.operator,
    pids: Object.fromEntries(pids),
  };
}

function followLogs({ terminal, layout, releases }: Session, names: readonly string[]): void {
  for (const name of names) {
    const file = join(layout.logs, `${name}.log`);
    const follower = followLog(file, (line) => terminal.showLogLine(name, line));
    releases.push(() => follower.stop());
  }
}

/** Restarts processes that exit. Resolves when told to stop; rejects if a process keeps failing. */
function keepRunning(
  { terminal, stackFile, stop, releases }: Session,
  servers: readonly ServerProcess[],
  describe: () => StackDescription,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const supervisors = servers.map((server) =>
      supervise(server, {
        onExit({ name, lastLines }, { code, signal }, isFailure) {
          terminal.say(`${name} exited (${signal ?? `exit code ${code}`}), restarting it`);
          if (isFailure) for (const line of lastLines(6)) terminal.say(`  ${line}`);
        },
        onReady({ name, pid }) {
          terminal.say(`${name} is ready again (process ${pid})`);
          stackFile.write(describe()).catch(reject);
        },
        onGiveUp: ({ name, lastLines }) =>
          reject(new Error(`${name} failed too often in a row:\n  ${lastLines().join('\n  ')}`)),
      }),
    );
    releases.push(() => Promise.all(supervisors.map((supervisor) => supervisor.stop())));
    stop.addEventListener('abort', () => resolve(), { once: true });
    if (stop.aborted) resolve();
  });
}

async function stopAll({ releases, terminal, stop }: Session): Promise<void> {
  const isAnyOpen = releases.length > 0;
  if (stop.aborted && isAnyOpen) terminal.say('\nStopping ...');
  await releaseAll(releases).catch((error: unknown) =>
    terminal.say(`While stopping: ${messageOf(error)}`),
  );
  if (stop.aborted && isAnyOpen) terminal.say('Stopped.');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
