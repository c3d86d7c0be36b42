import type { ProcessExit, RunningProcess } from './child-process.js';

/** A server that runs as a child process and can be stopped, killed and started again on the same port and data. */
export interface ServerProcess {
  readonly name: string;
  /** The pid of the process that runs now; undefined while none does. */
  readonly pid: number | undefined;
  /** Settles when the process that runs now is gone. */
  readonly exited: Promise<ProcessExit>;
  /** Starts it, and resolves when it serves. Does nothing if it runs. */
  start(options?: StartOptions): Promise<void>;
  /** Ends it in an orderly way, and resolves when it is gone. Safe twice, and before start. */
  stop(): Promise<void>;
  /** The last lines that the process wrote, for telling why it ended. */
  lastLines(count?: number): string[];
  /** Kills it with SIGKILL, and resolves when it is gone. */
  kill(): Promise<void>;
}

/** How long the caller of `start` waits. */
export interface StartOptions {
  readonly signal?: AbortSignal | undefined;
}

/** How a particular server is started and known to be ready. */
export interface ServerRecipe {
  readonly name: string;
  spawn(): Promise<RunningProcess>;
  waitUntilReady(running: RunningProcess, signal: AbortSignal | undefined): Promise<void>;
  readonly stopPatienceMs?: number;
}

/** Makes a server of a recipe, not yet started. */
export function createServerProcess(recipe: ServerRecipe): ServerProcess {
  let current: RunningProcess | undefined;
  let latest: RunningProcess | undefined;
  let exited: Promise<ProcessExit> = Promise.resolve({ code: null, signal: null });

  async function start({ signal }: StartOptions = {}): Promise<void> {
    if (current !== undefined) return;
    const running = await recipe.spawn();
    current = latest = running;
    exited = running.exited.finally(() => {
      if (current === running) current = undefined;
    });
    try {
      await recipe.waitUntilReady(running, signal);
    } catch (error) {
      running.kill();
      await exited;
      throw error;
    }
  }

  return {
    name: recipe.name,
    get pid() {
      return current?.pid;
    },
    get exited() {
      return exited;
    },
    start,
    async stop() {
      await current?.stop(recipe.stopPatienceMs);
      await exited;
    },
    lastLines: (count) => latest?.lastLines(count) ?? [],
    async kill() {
      current?.kill();
      await exited;
    },
  };
}
