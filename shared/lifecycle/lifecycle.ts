import type { Logger } from '../logging/logger.js';
import { logStrayOutput } from '../logging/stray-output.js';

export interface Lifecycle {
  /** True once the shutdown has begun. */
  readonly isStopping: boolean;
  /** Registers the release of a resource just opened. Releases run in reverse order, one after another. */
  onStop(name: string, release: () => Promise<void> | void): void;
  /** Releases everything and exits with this code; a second call waits for the first. */
  stop(reason: string, exitCode?: number): Promise<void>;
}

/**
 * Shuts the process down gracefully on SIGTERM, SIGINT and uncaught exceptions; after the deadline, or at a second signal,
 * it exits at once. Acknowledged work must survive a crash: a graceful shutdown only saves time. From now on stray output to
 * the console is logged.
 */
export function startLifecycle(log: Logger, deadlineMs: number): Lifecycle {
  logStrayOutput(log);
  const shutdown: Shutdown = {
    log,
    deadlineMs,
    releases: [],
    exitCode: undefined,
    done: undefined,
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (shutdown.exitCode !== undefined) process.exit(shutdown.exitCode);
    void stop(shutdown, signal, 0);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', (error, origin) => {
    log.fatal({ err: error, 'event.reason': origin }, 'uncaught exception');
    void stop(shutdown, origin, 1);
  });
  return {
    get isStopping() {
      return shutdown.exitCode !== undefined;
    },
    onStop: (name, release) => void shutdown.releases.push({ name, release }),
    stop: (reason, exitCode = 0) => stop(shutdown, reason, exitCode),
  };
}

interface Shutdown {
  readonly log: Logger;
  readonly deadlineMs: number;
  readonly releases: { readonly name: string; readonly release: () => Promise<void> | void }[];
  /** Set when the shutdown begins; the first call decides it. */
  exitCode: number | undefined;
  done: Promise<void> | undefined;
}

function stop(shutdown: Shutdown, reason: string, exitCode: number): Promise<void> {
  shutdown.exitCode ??= exitCode;
  shutdown.done ??= end(shutdown, reason, shutdown.exitCode);
  return shutdown.done;
}

async function end(shutdown: Shutdown, reason: string, exitCode: number): Promise<void> {
  const { log, deadlineMs } = shutdown;
  log.info({ 'event.reason': reason }, 'shutdown started');
  const deadline = setTimeout(() => {
    log.warn({ 'labels.deadline_ms': deadlineMs }, 'shutdown deadline exceeded');
    process.exit(exitCode);
  }, deadlineMs);
  await releaseAll(shutdown);
  clearTimeout(deadline);
  process.exit(exitCode);
}

async function releaseAll({ log, releases }: Shutdown): Promise<void> {
  for (const { name, release } of releases.toReversed()) {
    try {
      await release();
    } catch (error) {
      log.error({ err: error, 'labels.resource': name }, 'resource release failed');
    }
  }
}
