import {
  loadApiConfig,
  loadWorkerConfig,
  type ApiConfig,
  type WorkerConfig,
} from '../../shared/config/config.js';
import { variableNames } from '../../shared/config/variables.js';
import type { Database } from '../../shared/database/connect.js';
import { createLifecycle, type Lifecycle } from '../../shared/lifecycle/lifecycle.js';
import { thisProcess } from '../../shared/log-shipping/folder-owner.js';
import { openLogging, type Logging } from '../../shared/log-shipping/open-logging.js';
import { loopback } from '../../dev/stack/processes/ports.js';
import { shareModels } from './bound-models.js';
import type { Scope, TestContext } from './context.js';
import { environment, type Overrides } from './env.js';
import { keepLines, type WrittenLines } from './log-lines.js';
import type { StartOptions } from './processes.js';

/** An API or a worker that is ready, in whichever process. */
export interface RunningServer extends Pick<WrittenLines, 'logLines' | 'waitForLine'> {
  readonly url: string;
  /** What it has logged so far, as it was written. */
  stdout(): string;
  hasEnded(): boolean;
  /** Ends it in order. @throws unless everything is released in time. */
  stop(): Promise<void>;
}

const STOP_WITHIN_MS = 60_000;
/** What may be set for one server of several in a process; the others mean the whole process. */
const OURS: readonly string[] = variableNames.filter(
  (name) =>
    ![
      ...['NODE_ENV', 'FAILPOINT', 'UV_THREADPOOL_SIZE'],
      ...['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_CLOUDWATCH'],
    ].includes(name),
);
/** The spools of one process must not take each other for dead. */
const owner = thisProcess();
// Each has a listener for the end of the process.
process.setMaxListeners(0);

/** Runs what `api/main.ts` runs, in the test's own process, and resolves once it listens. */
export async function runApi(
  context: TestContext,
  options: StartOptions = {},
): Promise<RunningServer> {
  const { startApi } = await import('../../api/start.js');
  return run(context, options, { service: 'rollcall-api', load: loadApiConfig, start: startApi });
}

/** Runs what `workers/main.ts` runs, in the test's own process, and resolves once it works. */
export async function runWorker(
  context: TestContext,
  options: StartOptions = {},
): Promise<RunningServer> {
  const { startWorker } = await import('../../workers/start.js');
  return run(context, options, {
    service: 'rollcall-worker',
    load: loadWorkerConfig,
    start: startWorker,
  });
}

interface Program<C> {
  readonly service: 'rollcall-api' | 'rollcall-worker';
  load(env: Record<string, string>): C;
  start(
    config: C,
    logging: Logging,
    lifecycle: Lifecycle,
  ): Promise<{ readonly port: number; readonly deps: { readonly database: Database } }>;
}

/** The worker that runs here, or the last that waits to: a worker is called after its process, so that two would pass for one. */
let lastWorker: { readonly scope: Scope; readonly ended: Promise<void> } | undefined;

async function run<C extends ApiConfig | WorkerConfig>(
  context: TestContext,
  { env = {}, scope = context }: StartOptions,
  { service, load, start }: Program<C>,
): Promise<RunningServer> {
  const isWorker = service === 'rollcall-worker';
  if (isWorker) refuseSecondWorker(scope);
  const config = load(wholeEnvironment(context, env));
  const share = shareModels(config.database, 'a server');
  const output = keepLines();
  const keep = (lines: string | Buffer): boolean => {
    output.add(lines);
    return true;
  };
  const logging = openLogging(config, service, { output: { write: keep }, owner });
  const end = isWorker ? await takeTurn(scope) : () => undefined;
  let hasEnded = false;
  const lifecycle = createLifecycle(logging.log, STOP_WITHIN_MS, () => {
    hasEnded = true;
    end();
  });
  const stop = stopOf(service, lifecycle, output);
  scope.teardown(async () => {
    const endsByItself = lifecycle.isStopping && !stop.isCalled();
    await stop.now();
    if (endsByItself)
      throw new Error(`${service} ended by itself:\n${output.text().slice(-4_000)}`);
    output.refuseDefects(service);
  });

  // Should it not come so far that this comes first.
  lifecycle.onStop('models', () => share.leave());
  const { port, deps } = await start(config, logging, lifecycle);
  share.opened(deps.database);
  lifecycle.onStop('models', () => share.leave());
  return {
    url: `http://${loopback}:${port}`,
    stdout: output.text,
    logLines: output.logLines,
    waitForLine: output.waitForLine,
    hasEnded: () => hasEnded,
    stop: stop.now,
  };
}

/** @throws when the worker before would not end while this one waits: it ends with the same test, or with the whole file. */
function refuseSecondWorker(scope: Scope): void {
  if (lastWorker && (lastWorker.scope === scope || 'databaseUrl' in lastWorker.scope))
    throw new Error('a second worker needs a process of its own');
}

/** Waits until no other worker runs here, and resolves to what lets the next one run. */
async function takeTurn(scope: Scope): Promise<() => void> {
  const before = lastWorker;
  let resolveEnded = (): void => undefined;
  const turn = { scope, ended: new Promise<void>((resolve) => (resolveEnded = resolve)) };
  lastWorker = turn;
  await before?.ended;
  return () => {
    if (lastWorker === turn) lastWorker = undefined;
    resolveEnded();
  };
}

function wholeEnvironment(context: TestContext, env: Overrides): Record<string, string> {
  for (const name of Object.keys(env)) {
    if (!OURS.includes(name)) throw new Error(`${name} needs a process of its own`);
  }
  const variables = environment(context, env);
  // The AWS client reads it by itself.
  process.env['AWS_ENDPOINT_URL_FIREHOSE'] = variables['AWS_ENDPOINT_URL_FIREHOSE'];
  return variables;
}

function stopOf(service: string, lifecycle: Lifecycle, { logLines }: WrittenLines) {
  let isCalled = false;
  return {
    isCalled: () => isCalled,
    async now(): Promise<void> {
      isCalled = true;
      await lifecycle.stop('the test is over');
      const faults = logLines().filter(({ message }) =>
        ['resource release failed', 'shutdown deadline exceeded'].includes(String(message)),
      );
      if (faults.length > 0)
        throw new Error(`${service} did not end in order:\n${JSON.stringify(faults)}`);
    },
  };
}
