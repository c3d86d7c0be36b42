import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessExit } from './child-process.js';
import type { ServerProcess } from './server-process.js';

/** Called by a supervisor. */
export interface SupervisorEvents {
  /** The process has exited and will be restarted. */
  onExit(server: ServerProcess, exit: ProcessExit, isFailure: boolean): void;
  onReady(server: ServerProcess): void;
  /** It failed too often in a row, and is not restarted again. */
  onGiveUp(server: ServerProcess): void;
}

/** Restarts one server whenever it exits. */
export interface Supervisor {
  /** Stops supervising, and resolves when no restart is in progress. The server keeps running. */
  stop(): Promise<void>;
}

const maxFailures = 5;
const healthyAfterMs = 10_000;

/**
 * Restarts a server whenever it exits: at once if it was killed, with exponential backoff if it failed. Gives up after
 * five failures in a row, each within ten seconds of its start.
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

  /** False if it was stopped or has given up. */
  async function restart(): Promise<boolean> {
    for (; failures < maxFailures; failures += 1) {
      await backOff(failures, signal);
      if (signal.aborted) return false;
      try {
        await server.start({ signal });
        events.onReady(server);
        return true;
      } catch {
        // onGiveUp reports the server's last output.
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

async function backOff(failures: number, signal: AbortSignal): Promise<void> {
  if (failures === 0) return;
  await delay(125 * 2 ** failures, undefined, { signal }).catch(() => undefined);
}
