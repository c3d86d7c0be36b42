import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataLayout } from '../../paths.js';
import { startProcess, waitUntilReady } from './child-process.js';
import { claimPort, loopback } from './ports.js';
import { createServerProcess, type ServerProcess } from './server-process.js';

/** The API or the worker as a child process. */
export interface ApplicationProcess extends ServerProcess {
  readonly url: string;
  readonly logFile: string;
  /** Stops it and releases its port. */
  close(): Promise<void>;
}

export interface ApplicationOptions {
  readonly name: 'api' | 'worker';
  /** Below `dist/`. */
  readonly script: string;
  readonly portVariable: 'PORT' | 'WORKER_PORT';
  readonly preferredPort: number;
  readonly layout: DataLayout;
}

const LIVE_WITHIN_MS = 60_000;

/**
 * Claims a port for the API or the worker, without starting it. `environmentAt` is called at each start with the URL of
 * the process, and returns its environment.
 */
export async function createApplicationProcess(
  options: ApplicationOptions,
  environmentAt: (url: string) => Record<string, string>,
): Promise<ApplicationProcess> {
  const { name, layout } = options;
  const claim = await claimPort(options.preferredPort);
  const url = `http://${loopback}:${claim.port}`;
  const logFile = join(layout.logs, `${name}.log`);
  let starts = 0;
  const server = createServerProcess({
    name,
    spawn() {
      const { FAILPOINT, ...environment } = environmentAt(url);
      starts += 1;
      return startProcess({
        name,
        script: options.script,
        env: {
          ...environment,
          [options.portVariable]: String(claim.port),
          // A fail point kills the process once: its replacement must not die of it again.
          ...(FAILPOINT !== undefined && starts === 1 && { FAILPOINT }),
        },
        logFile,
        pidFile: join(layout.run, `${name}.json`),
      });
    },
    waitUntilReady: (running, signal) =>
      waitUntilReady(running, () => isReady(url), { timeoutMs: 60_000, signal }),
    stopTimeoutMs: 30_000,
  });
  return Object.assign(server, {
    url,
    logFile,
    async close() {
      await server.stop();
      await claim.release();
    },
  });
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

/** Resolves when the API at this URL answers its liveness probe. @throws after a minute. */
export async function untilLive(apiUrl: string): Promise<void> {
  const deadline = Date.now() + LIVE_WITHIN_MS;
  const isLive = (): Promise<boolean> =>
    fetch(`${apiUrl}/health/live`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isLive())) {
    if (Date.now() > deadline) throw new Error('the API does not start');
    await delay(50);
  }
}

/** Runs `migrations up` as a process. @throws with its last output if it fails. */
export async function runMigrations(
  env: Readonly<Record<string, string>>,
  layout: DataLayout,
): Promise<void> {
  const migrations = await startProcess({
    name: 'migrations',
    script: 'dist/migrations/run.js',
    args: ['up'],
    env,
    logFile: join(layout.logs, 'migrations.log'),
  });
  const { code } = await migrations.exited;
  if (code !== 0)
    throw new Error(`The migrations failed:\n  ${migrations.lastLines().join('\n  ')}`);
}
