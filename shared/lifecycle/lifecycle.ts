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

/** A lifecycle that only `stop` ends; `exit` is called when everything is released, and when the deadline is exceeded. */
export function createLifecycle(
  log: Logger,
  deadlineMs: number,
  exit: (exitCode: number) => void,
): Lifecycle & { readonly exitCode: number | undefined } {
  const shutdown: Shutdown = {
    log,
    deadlineMs,
    exit,
    releases: [],
    exitCode: undefined,
    done: undefined,
  };
  return {
    get isStopping() {
      return shutdown.exitCode !== undefined;
    },
    get exitCode() {
      return shutdown.exitCode;
    },
    onStop: (name, release) => void shutdown.releases.push({ name, release }),
    stop: (reason, exitCode = 0) => stop(shutdown, reason, exitCode),
  };
}

interface Shutdown {
  readonly log: Logger;
  readonly deadlineMs: number;
  readonly exit: (exitCode: number) => void;
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
  const { log, deadlineMs, exit } = shutdown;
  log.info({ 'event.reason': reason }, 'shutdown started');
  const deadline = setTimeout(() => {
    log.warn({ 'labels.deadline_ms': deadlineMs }, 'shutdown deadline exceeded');
    exit(exitCode);
  }, deadlineMs);
  await releaseAll(shutdown);
  clearTimeout(deadline);
  exit(exitCode);
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
