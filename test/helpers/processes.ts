import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from '../../dev/paths.js';
import { claimPort, loopback } from '../../dev/stack/processes/ports.js';
import type { Scope, TestContext } from './context.js';
import { environment, type Overrides } from './env.js';
import { eventually } from './eventually.js';
import { ask } from './http.js';
import { keepLines, type WrittenLines } from './log-lines.js';

export { isRequest, type LogLine } from './log-lines.js';

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that runs as a process of its own. */
export interface TestProcess extends Pick<WrittenLines, 'logLines' | 'waitForLine'> {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
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
    const told = running
      .logLines()
      .map((line) => [line['log.level'], line['message'], line['error.message']].join(' '));
    throw new Error(
      `${script} ended early, ${JSON.stringify(exit)}:\n${told.join('\n')}\n${running.stderr()}`,
    );
  }
  return Object.assign(running, { url });
}

async function isLive(url: string): Promise<boolean> {
  try {
    const { status } = await ask(`${url}/health/live`, { signal: AbortSignal.timeout(10_000) });
    return status === 200;
  } catch {
    return false;
  }
}

function follow(child: ChildProcess, script: string, scope: Scope): TestProcess {
  const stdout = keepLines();
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', stdout.add);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const lastPart = (): string => `${stdout.text().slice(-2_000)}${stderr.slice(-2_000)}`;
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
        `${script} ended with ${signal ?? `exit code ${code}`} on SIGTERM:\n${lastPart()}`,
      );
    }
  };

  scope.teardown(async () => {
    if (!hasEnded) await stop();
    else if (!isExpected) throw new Error(`${script} ended by itself:\n${lastPart()}`);
    stdout.refuseDefects(script);
  });

  return {
    pid: child.pid ?? 0,
    stdout: stdout.text,
    stderr: () => stderr,
    logLines: stdout.logLines,
    waitForLine: stdout.waitForLine,
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
