import {
  startProcess,
  type ProcessExit,
  type RunningProcess,
} from '../stack/processes/child-process.js';

/** A process that is started again whenever it ends, until it is stopped. */
export interface RespawningProcess {
  /** SIGKILL. False while it is being restarted. */
  kill(): boolean;
  /** SIGTERM; resolves when it has ended and will not be started again. */
  stop(): Promise<void>;
  /** Exits that neither `kill` nor `stop` caused. A correct run has none. */
  readonly unexpectedExits: readonly ProcessExit[];
  /** One file for each run of the program, with its stdout and stderr. */
  readonly logFiles: readonly string[];
}

/** The program to run. */
export interface RespawnOptions {
  readonly name: string;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  /** The log file of run number `run`, counted from 0. */
  readonly logFileOf: (run: number) => string;
}

/** Starts a program and keeps it running. */
export function startRespawning({
  name,
  script,
  env,
  logFileOf,
}: RespawnOptions): RespawningProcess {
  const unexpectedExits: ProcessExit[] = [];
  const logFiles: string[] = [];
  let running: RunningProcess | undefined;
  let isStopping = false;

  const respawn = async (): Promise<void> => {
    while (!isStopping) {
      const logFile = logFileOf(logFiles.length);
      logFiles.push(logFile);
      running = await startProcess({ name, script, env, logFile });
      const exit = await running.exited;
      running = undefined;
      if (exit.signal !== 'SIGKILL' && !isStopping) unexpectedExits.push(exit);
    }
  };
  const respawning = respawn();

  return {
    kill() {
      running?.kill('SIGKILL');
      return running !== undefined;
    },
    async stop() {
      isStopping = true;
      await running?.stop(30_000);
      await respawning;
    },
    unexpectedExits,
    logFiles,
  };
}
