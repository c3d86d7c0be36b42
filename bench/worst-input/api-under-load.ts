import { readFileSync } from 'node:fs';
import { request, Agent } from 'node:http';
import { join } from 'node:path';
import { createApplicationProcess } from '../../dev/stack/processes/application.js';
import { readDevEnv } from '../../dev/env.js';
import { prepareDataDir } from '../../dev/paths.js';
import { runTool } from '../../dev/checks/tool.js';
import { loadSecrets } from '../../dev/stack/secrets.js';
import { serviceEnvironment } from '../../dev/stack/service-environment.js';
import { openStack } from '../../dev/stack/stack.js';
import type { Input } from './inputs.js';

/** An API of our own, and what it takes to answer. */
export interface ApiUnderLoad {
  /** Sends a request and resolves to the milliseconds until its answer was complete. */
  send(input: Input): Promise<number>;
  /** The milliseconds that the event loop's thread has worked since it began. Linux only. */
  workedMs(): number;
  /** Stops it and what it needs. */
  close(): Promise<void>;
}

const NANOSECONDS = 1e6;

/** Starts an API behind one proxy, so that the addresses it is told are read, with its servers below `dataDir`. */
export async function openApiUnderLoad(
  dataDir: string,
  signal: AbortSignal,
): Promise<ApiUnderLoad> {
  const stack = await openStack({ dataDir, ports: 'any', durable: false, signal });
  const agent = new Agent({ keepAlive: true });
  try {
    const secrets = await loadSecrets(dataDir);
    const environmentAt = (api: string): Record<string, string> => ({
      ...serviceEnvironment(readDevEnv(), secrets, {
        api,
        postgres: stack.postgresUrl,
        redis: stack.redisUrl,
        firehose: stack.firehoseUrl,
      }),
      SPOOL_DIR: join(dataDir, 'spool'),
      TRUST_PROXY: '1',
    });
    const { succeeded, output } = await runTool(
      [process.execPath, 'dist/migrations/run.js', 'up'],
      {
        env: environmentAt('http://localhost'),
        signal,
      },
    );
    if (!succeeded) throw new Error(`the database cannot be migrated:\n${output}`);
    const api = await createApplicationProcess(
      {
        name: 'api',
        script: 'dist/api/main.js',
        portVariable: 'PORT',
        preferredPort: 0,
        layout: await prepareDataDir(dataDir),
      },
      environmentAt,
    );
    await api.start();
    return {
      send: (input) => send(api.url, input, agent),
      workedMs: () => workedMs(api.pid ?? 0),
      async close() {
        agent.destroy();
        await api.close();
        await stack.close();
      },
    };
  } catch (error) {
    await stack.close();
    throw error;
  }
}

function send(api: string, { path, headers }: Input, agent: Agent): Promise<number> {
  const startedAt = performance.now();
  const { hostname, port } = new URL(api);
  return new Promise((resolve, reject) => {
    const asking = request({ hostname, port, path, headers, agent }, (answer) => {
      answer.resume();
      answer.once('error', reject);
      answer.once('end', () => resolve(performance.now() - startedAt));
    });
    asking.once('error', reject);
    asking.end();
  });
}

/** The first figure of a thread's `schedstat`: what it has spent on a processor (sched-stats(5) of the kernel). */
const workedMs = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / NANOSECONDS;
