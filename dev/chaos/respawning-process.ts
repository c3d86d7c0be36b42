import {
  startProcess,
  type ProcessExit,
  type RunningProcess,
} from '../stack/processes/child-process.js';

/** A program that is started again whenever it ends, until it is stopped. */
export interface Immortal {
  /** SIGKILL. False when it was just being started. */
  kill(): boolean;
  /** SIGTERM; resolves when it is gone for good. */
  stop(): Promise<void>;
  /** How it ended when nobody had killed it: none of that should happen. */
  readonly ownEnds: readonly ProcessExit[];
  /** One file for each life: all that it wrote on stdout and stderr. */
  readonly logFiles: readonly string[];
}

/** How to start a life. */
export interface LifeOptions {
  readonly name: string;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  /** The file of the life with this number. */
  readonly logFileOf: (life: number) => string;
}

/** Starts a program and keeps it alive. */
export function keepAlive({ name, script, env, logFileOf }: LifeOptions): Immortal {
  const ownEnds: ProcessExit[] = [];
  const logFiles: string[] = [];
  let running: RunningProcess | undefined;
  let isStopping = false;

  const live = async (): Promise<void> => {
    while (!isStopping) {
      const logFile = logFileOf(logFiles.length);
      logFiles.push(logFile);
      running = await startProcess({ name, script, env, logFile });
      const exit = await running.exited;
      running = undefined;
      if (exit.signal !== 'SIGKILL' && !isStopping) ownEnds.push(exit);
    }
  };
  const lives = live();

  return {
    kill() {
      running?.kill('SIGKILL');
      return running !== undefined;
    },
    async stop() {
      isStopping = true;
      await running?.stop(30_000);
      await lives;
    },
    ownEnds,
    logFiles,
  };
}
