import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from '../../dev/paths.js';
import { claimPort, loopback } from '../../dev/stack/processes/ports.js';
import type { Scope, TestContext } from './context.js';
import { environment, type Overrides } from './env.js';
import { eventually, type Patience } from './eventually.js';

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One line that a process logged. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A program that runs as a process of its own. */
export interface TestProcess {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** What it has logged so far. @throws when a line on stdout is not one JSON object. */
  logLines(): LogLine[];
  /** Resolves to the first line logged that the predicate takes. */
  waitForLine(isWanted: (line: LogLine) => boolean, patience?: Patience): Promise<LogLine>;
  send(signal: NodeJS.Signals): void;
  /** Reads no more of what it writes, and closes this end of the pipe. */
  closeReader(name: 'stdout' | 'stderr'): void;
  /** Sends SIGKILL and resolves when the process is gone. */
  kill(): Promise<ProcessExit>;
  /** Sends SIGTERM and resolves when the process is gone. @throws unless it then ends by itself with exit code 0. */
  stop(): Promise<void>;
  hasEnded(): boolean;
  /** Resolves when the process is gone, which from now on is no failure. */
  waitForExit(): Promise<ProcessExit>;
}

/** An API or a worker, ready. */
export interface ServerProcess extends TestProcess {
  readonly url: string;
}

/** How to start a process. */
export interface StartOptions {
  readonly env?: Overrides;
  /** What the process ends with; the whole file by default. */
  readonly scope?: Scope;
}

/** Finds the one line that tells of a request as a whole. */
export const isRequest =
  (requestId: string) =>
  (line: LogLine): boolean =>
    line['http.request.id'] === requestId && line['message'] === 'request';

/** What a process logs when it answers 500: no test brings that about, so it fails the one in which it happens. */
const INTERNAL_ERROR = '"message":"request failed"';

const STOP_WITHIN_MS = 60_000;
const READY_WITHIN_MS = 60_000;

/** Starts `dist/api/main.js` on a free port and waits until it is live. */
export function startApi(context: TestContext, options: StartOptions = {}): Promise<ServerProcess> {
  return startServer(context, 'dist/api/main.js', 'PORT', options);
}

/** Starts `dist/workers/main.js` on a free port and waits until it is live. */
export function startWorker(
  context: TestContext,
  options: StartOptions = {},
): Promise<ServerProcess> {
  return startServer(context, 'dist/workers/main.js', 'WORKER_PORT', options);
}

/** Starts any program of the project. It ends with the scope, and must then end by itself. */
export function startProgram(
  script: string,
  env: Record<string, string>,
  scope: Scope,
  args: readonly string[] = [],
): TestProcess {
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', join(projectRoot, script), ...args],
    {
      cwd: projectRoot,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  killWithThisProcess(child);
  return follow(child, script, scope);
}

async function startServer(
  context: TestContext,
  script: string,
  portVariable: string,
  { env = {}, scope = context }: StartOptions,
): Promise<ServerProcess> {
  const claim = await claimPort(0);
  scope.teardown(() => claim.release());
  const running = startProgram(
    script,
    environment(context, { [portVariable]: String(claim.port), ...env }),
    scope,
  );
  const url = `http://${loopback}:${claim.port}`;
  await eventually(() => running.hasEnded() || isLive(url), {
    withinMs: READY_WITHIN_MS,
    of: `${script} being live`,
  });
  if (running.hasEnded()) {
    const exit = await running.waitForExit();
    throw new Error(
      `${script} ended early, ${JSON.stringify(exit)}:\n${running.stdout()}${running.stderr()}`,
    );
  }
  return Object.assign(running, { url });
}

async function isLive(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/health/live`, { signal: AbortSignal.timeout(10_000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

function follow(child: ChildProcess, script: string, scope: Scope): TestProcess {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => (output[name] += text));
  }
  let hasEnded = false;
  let isExpected = false;
  const exited = new Promise<ProcessExit>((resolve) => {
    // `close` comes when all that it wrote has been read.
    child.once('close', (code, signal) => {
      hasEnded = true;
      resolve({ code, signal });
    });
  });

  const stop = async (): Promise<void> => {
    isExpected = true;
    child.kill('SIGTERM');
    const lastResort = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    const { code, signal } = await exited;
    clearTimeout(lastResort);
    if (code !== 0) {
      throw new Error(
        `${script} ended with ${signal ?? `exit code ${code}`} on SIGTERM:\n${lastPart(output)}`,
      );
    }
  };

  scope.teardown(async () => {
    if (!hasEnded) await stop();
    else if (!isExpected) throw new Error(`${script} ended by itself:\n${lastPart(output)}`);
    const defects = output.stdout.split('\n').filter((line) => line.includes(INTERNAL_ERROR));
    if (defects.length > 0) throw new Error(`${script} has a defect:\n${defects.join('\n')}`);
  });

  const logLines = (): LogLine[] => output.stdout.split('\n').slice(0, -1).map(parseLine);
  return {
    pid: child.pid ?? 0,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    logLines,
    waitForLine: (isWanted, patience = { of: 'the log line' }) =>
      eventually(() => logLines().find(isWanted), patience),
    hasEnded: () => hasEnded,
    send: (signal) => void child.kill(signal),
    closeReader: (name) => void child[name]?.destroy(),
    async kill() {
      isExpected = true;
      child.kill('SIGKILL');
      return exited;
    },
    stop,
    waitForExit() {
      isExpected = true;
      return exited;
    },
  };
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch (error) {
    throw new Error(`not a line of JSON on stdout: ${line}`, { cause: error });
  }
}

const lastPart = ({ stdout, stderr }: { stdout: string; stderr: string }): string =>
  `${stdout.slice(-2_000)}${stderr.slice(-2_000)}`;

const liveChildren = new Set<ChildProcess>();

/** A run that is broken off must not leave processes behind. */
function killWithThisProcess(child: ChildProcess): void {
  if (liveChildren.size === 0 && process.listenerCount('SIGTERM') === 0) {
    process.on('exit', () => {
      for (const live of liveChildren) live.kill('SIGKILL');
    });
    process.on('SIGTERM', () => process.exit(143));
    process.on('disconnect', () => process.exit(143));
  }
  liveChildren.add(child);
  child.once('exit', () => liveChildren.delete(child));
}
