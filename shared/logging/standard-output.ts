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
  /** Bytes that wait to be taken; absent where nothing waits. */
  readonly writableLength?: number;
  write(text: string, onWritten?: (error?: Error | null) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** How standard output is opened; both streams are the process's own by default. */
export interface StandardOutputOptions {
  readonly stdout?: OutputStream;
  readonly stderr?: OutputStream;
  /** How long after a failure nothing is written. */
  readonly pauseMs?: number;
}

/** The disk may have room again, the other end of a named pipe a new reader. */
const REST_MS = 10_000;
/** What may wait in memory for a reader that does not read. */
const MAX_WAITING_BYTES = 1_048_576;

class StalledReader extends Error {
  override readonly name = 'StalledReader';
  readonly code = 'ESTALLED';
  constructor() {
    super('whoever reads standard output has stopped reading');
  }
}

/**
 * Keeps a process alive when whoever reads its output ends (EPIPE), or when the disk under it is full: what is written
 * meanwhile is dropped here, and writing is tried again later. Node would take either for an uncaught exception. A reader
 * that stays and does not read is left without lines as well, from one mebibyte that waits for it until it has read that:
 * memory would grow without bound. The failure is told once, on stderr too: without a spool that is the only place left.
 */
export function openStandardOutput({
  stdout = process.stdout,
  stderr = process.stderr,
  pauseMs = REST_MS,
}: StandardOutputOptions = {}): StandardOutput {
  let log: Logger | undefined;
  let isFailing = false;
  let restUntil = -Infinity;
  let isStalled = false;
  let dropped = 0;

  const fail = (error: NodeJS.ErrnoException): void => {
    if (isFailing) return;
    isFailing = true;
    stderr.write(
      `Standard output cannot be written (${error.code ?? error.name}); going on without.\n`,
    );
    log?.warn({ err: error }, 'stdout write failed');
  };
  const onWritten = (error?: NodeJS.ErrnoException | null): void => {
    if (error) {
      restUntil = performance.now() + pauseMs;
      fail(error);
    } else if (isFailing && !isStalled) {
      const fields = { 'labels.dropped_lines': dropped };
      isFailing = false;
      dropped = 0;
      log?.info(fields, 'stdout recovered');
    }
  };
  const hasRoom = (): boolean => {
    const waiting = stdout.writableLength ?? 0;
    isStalled = isStalled ? waiting > 0 : waiting > MAX_WAITING_BYTES;
    if (isStalled) fail(new StalledReader());
    return !isStalled;
  };
  // The callback of the write that failed is told the same.
  stdout.on('error', () => undefined);
  // Nothing is ever written there but what this module and the runtime say of the end.
  stderr.on('error', () => undefined);

  return {
    write(lines) {
      if (performance.now() >= restUntil && hasRoom()) stdout.write(lines, onWritten);
      else dropped += lines.split('\n').length - 1;
    },
    reportTo(to) {
      log = to;
    },
  };
}
