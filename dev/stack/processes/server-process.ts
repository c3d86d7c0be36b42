import type { ProcessExit, RunningProcess } from './child-process.js';

/** A server in a child process, which can be stopped, killed and started again on the same port and data. */
export interface ServerProcess {
  readonly name: string;
  /** The pid of the current process; undefined while none runs. */
  readonly pid: number | undefined;
  /** Resolves when the current process has exited. */
  readonly exited: Promise<ProcessExit>;
  /** Starts it, and resolves when it is ready. Does nothing if it runs. */
  start(options?: StartOptions): Promise<void>;
  /** Stops it, and resolves when it has exited. Safe twice, and before start. */
  stop(): Promise<void>;
  /** The last lines of its output, for an error message. */
  lastLines(count?: number): string[];
  /** Sends SIGKILL, and resolves when it has exited. */
  kill(): Promise<void>;
}

export interface StartOptions {
  /** Aborts the start. */
  readonly signal?: AbortSignal | undefined;
}

/** How a particular server is started, and how its readiness is probed. */
export interface ServerDefinition {
  readonly name: string;
  spawn(): Promise<RunningProcess>;
  waitUntilReady(running: RunningProcess, signal: AbortSignal | undefined): Promise<void>;
  readonly stopTimeoutMs?: number;
}

/** A server, not yet started. */
export function createServerProcess(definition: ServerDefinition): ServerProcess {
  let current: RunningProcess | undefined;
  let latest: RunningProcess | undefined;
  let exited: Promise<ProcessExit> = Promise.resolve({ code: null, signal: null });

  async function start({ signal }: StartOptions = {}): Promise<void> {
    if (current !== undefined) return;
    const running = await definition.spawn();
    current = latest = running;
    exited = running.exited.finally(() => {
      if (current === running) current = undefined;
    });
    try {
      await definition.waitUntilReady(running, signal);
    } catch (error) {
      running.kill();
      await exited;
      throw error;
    }
  }

  return {
    name: definition.name,
    get pid() {
      return current?.pid;
    },
    get exited() {
      return exited;
    },
    start,
    async stop() {
      await current?.stop(definition.stopTimeoutMs);
      await exited;
    },
    lastLines: (count) => latest?.lastLines(count) ?? [],
    async kill() {
      current?.kill();
      await exited;
    },
  };
}
