import { setFlagsFromString } from 'node:v8';
import type { Logger } from '../logging/logger.js';
import { logStrayOutput } from '../logging/stray-output.js';

/** Why the process ends. */
export interface StopCause {
  /** A signal, `uncaughtException`, or what the code that stops it says. */
  readonly reason: string;
  readonly exitCode: number;
  /** What was thrown, if that is the cause. */
  readonly error?: unknown;
}

/** The reason with which a worker ends itself that takes no jobs although some wait. */
export const QUEUE_CONSUMER_STALLED = 'queue consumer stalled';

type Release = (cause: StopCause) => Promise<void> | void;

export interface Lifecycle {
  /** True once the shutdown has begun. */
  readonly isStopping: boolean;
  /** Registers the release of a resource just opened. Releases run in reverse order, one after another. */
  onStop(name: string, release: Release): void;
  /** Releases everything and exits with this code; a second call waits for the first. */
  stop(reason: string, exitCode?: number, error?: unknown): Promise<void>;
}

/**
 * Shuts the process down gracefully on SIGTERM, SIGINT and uncaught exceptions; after the deadline, or at a second signal,
 * it exits at once. Acknowledged work must survive a crash: a graceful shutdown only saves time. From now on stray output to
 * the console is logged.
 */
export function startLifecycle(log: Logger, deadlineMs: number): Lifecycle {
  // With much memory V8 lets a heap grow to four times what is alive. Collecting at twice costs little: see docs/performance.md.
  setFlagsFromString('--heap-growing-percent=100');
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
    void lifecycle.stop(origin, 1, error);
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
    stop: (reason, exitCode = 0, error) => stop(shutdown, { reason, exitCode, error }),
  };
}

interface Shutdown {
  readonly log: Logger;
  readonly deadlineMs: number;
  readonly exit: (exitCode: number) => void;
  readonly releases: { readonly name: string; readonly release: Release }[];
  /** Set when the shutdown begins; the first call decides it. */
  exitCode: number | undefined;
  done: Promise<void> | undefined;
}

function stop(shutdown: Shutdown, cause: StopCause): Promise<void> {
  shutdown.exitCode ??= cause.exitCode;
  shutdown.done ??= end(shutdown, cause);
  return shutdown.done;
}

async function end(shutdown: Shutdown, cause: StopCause): Promise<void> {
  const { log, deadlineMs, exit } = shutdown;
  const { reason, exitCode } = cause;
  log.info({ 'event.reason': reason }, 'shutdown started');
  const deadline = setTimeout(() => {
    log.warn({ 'labels.deadline_ms': deadlineMs }, 'shutdown deadline exceeded');
    exit(exitCode);
  }, deadlineMs);
  await releaseAll(shutdown, cause);
  clearTimeout(deadline);
  exit(exitCode);
}

async function releaseAll({ log, releases }: Shutdown, cause: StopCause): Promise<void> {
  for (const { name, release } of releases.toReversed()) {
    try {
      await release(cause);
    } catch (error) {
      log.error({ err: error, 'labels.resource': name }, 'resource release failed');
    }
  }
}
