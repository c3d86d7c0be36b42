import { join } from 'node:path';
import type { DataLayout } from '../../paths.js';
import { claimPort, loopback } from './ports.js';
import { startProcess, waitUntilReady } from './child-process.js';
import { createServerProcess, type ServerProcess } from './server-process.js';

/** The API or the worker as a process of its own. */
export interface ApplicationProcess extends ServerProcess {
  readonly url: string;
  readonly logFile: string;
  /** Stops it, and gives its port back. */
  close(): Promise<void>;
}

/** Which of the two, and where it should listen. */
export interface ApplicationOptions {
  readonly name: 'api' | 'worker';
  /** Below `dist/`. */
  readonly script: string;
  readonly portVariable: 'PORT' | 'WORKER_PORT';
  readonly preferredPort: number;
  readonly layout: DataLayout;
}

/**
 * Claims a port for the API or the worker and makes it ready to be started. `environmentAt` is asked for the
 * environment at each start, with the URL that the process will have.
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
          // A fail point kills once: the process that is started in its place must live.
          ...(FAILPOINT !== undefined && starts === 1 && { FAILPOINT }),
        },
        logFile,
        pidFile: join(layout.run, `${name}.json`),
      });
    },
    waitUntilReady: (running, signal) =>
      waitUntilReady(running, () => isReady(url), { timeoutMs: 60_000, signal }),
    stopPatienceMs: 30_000,
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
