import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessExit } from './child-process.js';
import type { ServerProcess } from './server-process.js';

/** What a supervisor tells of the server that it watches. */
export interface SupervisorEvents {
  /** The server's process is gone and will be started again. */
  onExit(server: ServerProcess, exit: ProcessExit, isFailure: boolean): void;
  onReady(server: ServerProcess): void;
  /** It failed too often in a row, and is left alone from now on. */
  onGiveUp(server: ServerProcess): void;
}

/** Keeps one server running. */
export interface Supervisor {
  /** Ends the watch, and resolves when it will start nothing more. The server itself is left as it is. */
  stop(): Promise<void>;
}

const failuresAllowed = 5;
const healthyAfterMs = 10_000;

/**
 * Starts a server again whenever it ends. At once if somebody killed it; with growing pauses if it fails by itself,
 * and not any more after five failures within ten seconds of their starts.
 */
export function supervise(server: ServerProcess, events: SupervisorEvents): Supervisor {
  const stopping = new AbortController();
  const { signal } = stopping;

  let restarting: Promise<boolean> = Promise.resolve(true);
  let failures = 0;

  async function watch(): Promise<void> {
    let startedAt = Date.now();
    for (;;) {
      const exit = await server.exited;
      if (signal.aborted) return;
      const isFailure = !wasKilled(exit);
      if (!isFailure || Date.now() - startedAt > healthyAfterMs) failures = 0;
      if (isFailure) failures += 1;
      events.onExit(server, exit, isFailure);
      restarting = restart();
      if (!(await restarting)) return;
      startedAt = Date.now();
    }
  }

  /** False if it is not to be tried any more. */
  async function restart(): Promise<boolean> {
    for (; failures < failuresAllowed; failures += 1) {
      await pause(failures, signal);
      if (signal.aborted) return false;
      try {
        await server.start({ signal });
        events.onReady(server);
        return true;
      } catch {
        // What it wrote is in server.lastLines(), for whoever hears that it was given up.
      }
    }
    if (!signal.aborted) events.onGiveUp(server);
    return false;
  }

  void watch();
  return {
    async stop() {
      stopping.abort();
      await restarting;
    },
  };
}

function wasKilled({ signal }: ProcessExit): boolean {
  return signal === 'SIGKILL' || signal === 'SIGTERM' || signal === 'SIGINT';
}

async function pause(failures: number, signal: AbortSignal): Promise<void> {
  if (failures === 0) return;
  await delay(125 * 2 ** failures, undefined, { signal }).catch(() => undefined);
}
