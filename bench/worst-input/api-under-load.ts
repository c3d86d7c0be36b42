import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { openLocalApi } from '../local-api.js';
import type { Input } from './inputs.js';

/** An API, and what requests cost it. */
export interface ApiUnderLoad {
  /** Sends a request, and resolves to the milliseconds until its response was complete. */
  send(input: Input): Promise<number>;
  /** CPU time of the event loop's thread since its start, in milliseconds. Linux only. */
  cpuMs(): number;
  /** Stops the API and its servers. */
  close(): Promise<void>;
}

const NANOSECONDS_PER_MS = 1e6;

/** Starts an API that trusts one proxy, so that it parses X-Forwarded-For, with its servers below `dataDir`. */
export async function openApiUnderLoad(
  dataDir: string,
  signal: AbortSignal,
): Promise<ApiUnderLoad> {
  const variables = { TRUST_PROXY: '1' };
  const api = await openLocalApi({ dataDir, durable: false, variables, signal });
  const agent = new Agent({ keepAlive: true });
  return {
    send: (input) => send(api.server.url, input, agent),
    cpuMs: () => cpuMs(api.server.pid ?? 0),
    async close() {
      agent.destroy();
      await api.close();
    },
  };
}

function send(api: string, { path, headers }: Input, agent: Agent): Promise<number> {
  const startedAt = performance.now();
  const { hostname, port } = new URL(api);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, headers, agent }, (response) => {
      response.resume();
      response.once('error', reject);
      response.once('end', () => resolve(performance.now() - startedAt));
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** The first figure of a thread's `schedstat`: time spent on a CPU (sched-stats in the kernel's documentation). */
const cpuMs = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) /
  NANOSECONDS_PER_MS;
