import type { LogDestination, Logger } from './logger.js';

/** Standard output, for as long as somebody takes what is written there. */
export interface StandardOutput extends LogDestination {
  /**
   * From now on this log is told when writing fails, and when it works again. Where lines reach other places than
   * standard output, they do so during such a time as well.
   */
  reportTo(log: Logger): void;
}

/** What is used of a stream. */
export interface OutputStream {
  write(text: string, onWritten?: (error?: Error | null) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** How standard output is opened; both streams are the process's own by default. */
export interface StandardOutputOptions {
  readonly stdout?: OutputStream;
  readonly stderr?: OutputStream;
  /** How long after a failure nothing is written. */
  readonly restMs?: number;
}

/** The disk may have room again, the other end of a named pipe a new reader. */
const REST_MS = 10_000;

/**
 * Keeps a process alive when whoever reads its output ends (EPIPE), or when the disk under it is full: what is written
 * meanwhile is dropped here, and writing is tried again later. Node would take either for an uncaught exception. The
 * failure is told once, on stderr too: without a spool that is the only place left.
 */
export function openStandardOutput({
  stdout = process.stdout,
  stderr = process.stderr,
  restMs = REST_MS,
}: StandardOutputOptions = {}): StandardOutput {
  let log: Logger | undefined;
  let isFailing = false;
  let restUntil = -Infinity;

  const onWritten = (error?: NodeJS.ErrnoException | null): void => {
    if (error) {
      restUntil = performance.now() + restMs;
      if (isFailing) return;
      isFailing = true;
      stderr.write(
        `Standard output cannot be written (${error.code ?? error.name}); going on without.\n`,
      );
      log?.warn({ err: error }, 'standard output cannot be written');
    } else if (isFailing) {
      isFailing = false;
      log?.info('standard output can be written again');
    }
  };
  // The callback of the write that failed is told the same.
  stdout.on('error', () => undefined);
  // Nothing is ever written there but what this module and the runtime say of the end.
  stderr.on('error', () => undefined);

  return {
    write(lines) {
      if (performance.now() >= restUntil) stdout.write(lines, onWritten);
    },
    reportTo(to) {
      log = to;
    },
  };
}
