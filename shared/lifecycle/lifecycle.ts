import type { Logger } from '../logging/logger.js';
import { logStrayOutput } from '../logging/stray-output.js';

/** What a process does between its start and its end. */
export interface Lifecycle {
  /** True from the moment that stopping has begun. */
  readonly isStopping: boolean;
  /** Registers how to release what was just opened. Releases run in reverse order, one after another. */
  onStop(name: string, release: () => Promise<void> | void): void;
  /** Releases everything and ends the process with this exit code; a second call waits for the first. */
  stop(reason: string, exitCode?: number): Promise<void>;
}

/**
 * Ends the process in order: on SIGTERM or SIGINT, and when an error escapes. Past the deadline, or at a second signal,
 * it ends at once. What was acknowledged must be safe without a clean stop; stopping in order only saves time.
 * From now on whatever the process prints is a line of its log.
 */
export function startLifecycle(log: Logger, deadlineMs: number): Lifecycle {
  logStrayOutput(log);
  const lifecycle = createLifecycle(log, deadlineMs, (exitCode) => process.exit(exitCode));
  const onSignal = (signal: NodeJS.Signals): void => {
    if (lifecycle.exitCode !== undefined) process.exit(lifecycle.exitCode);
    void lifecycle.stop(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', (error, origin) => {
    log.fatal({ err: error, 'event.reason': origin }, 'uncaught exception');
    void lifecycle.stop(origin, 1);
  });
  return lifecycle;
}

/** A lifecycle that nothing but its `stop` ends; `exit` is called once everything is released, or past the deadline. */
export function createLifecycle(
  log: Logger,
  deadlineMs: number,
  exit: (exitCode: number) => void,
): Lifecycle & { readonly exitCode: number | undefined } {
  const releases: { name: string; release: () => Promise<void> | void }[] = [];
  let stopping: Promise<void> | undefined;
  /** Set from the moment that stopping begins. */
  let finalExitCode: number | undefined;

  const runReleases = async (): Promise<void> => {
    for (const { name, release } of releases.toReversed()) {
      try {
        await release();
      } catch (error) {
        log.error({ err: error, 'labels.resource': name }, 'resource release failed');
      }
    }
  };

  const stop = (reason: string, exitCode = 0): Promise<void> => {
    // The first reason decides how the process ends.
    finalExitCode ??= exitCode;
    stopping ??= end(reason, finalExitCode);
    return stopping;
  };

  const end = async (reason: string, exitCode: number): Promise<void> => {
    log.info({ 'event.reason': reason }, 'shutdown started');
    const deadline = setTimeout(() => {
      log.warn({ 'labels.deadline_ms': deadlineMs }, 'shutdown deadline exceeded');
      exit(exitCode);
    }, deadlineMs);
    await runReleases();
    clearTimeout(deadline);
    exit(exitCode);
  };

  return {
    get isStopping() {
      return finalExitCode !== undefined;
    },
    get exitCode() {
      return finalExitCode;
    },
    onStop: (name, release) => void releases.push({ name, release }),
    stop,
  };
}
