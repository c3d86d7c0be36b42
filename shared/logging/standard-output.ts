import type { LogDestination, Logger } from './logger.js';

/** Standard output that survives a closed or stalled reader. */
export interface StandardOutput extends LogDestination {
  /**
   * @param lines each with its newline; bytes are UTF-8.
   * @returns whether it is done with them: bytes may be overwritten then.
   */
  write(lines: string | Buffer): boolean;
  /**
   * Reports failed writes and their recovery to this log from now on. Where that log has another destination besides
   * standard output, its lines arrive there while writes fail.
   */
  reportTo(log: Logger): void;
}

/** The part of a stream that is used. */
export interface OutputStream {
  /** Bytes that wait to be read; absent where nothing is buffered. */
  readonly writableLength?: number;
  write(text: string | Buffer, onWritten?: (error?: Error | null) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** Both streams are the process's own by default. */
export interface StandardOutputOptions {
  readonly stdout?: OutputStream;
  readonly stderr?: OutputStream;
  /** How long nothing is written after a failure. */
  readonly pauseMs?: number;
}

interface OutputState extends Required<StandardOutputOptions> {
  log: Logger | undefined;
  /** From a failed write, or a stalled reader, until the next successful write. */
  isFailing: boolean;
  pausedUntilMs: number;
  isStalled: boolean;
  droppedLines: number;
}

/** By then the disk may have space again, or a named pipe a new reader. */
const PAUSE_MS = 10_000;
/** Bytes buffered in memory for a reader that does not read. */
const MAX_BUFFERED_BYTES = 1_048_576;

class StalledReader extends Error {
  override readonly name = 'StalledReader';
  readonly code = 'ESTALLED';
  constructor() {
    super('the reader of standard output has stopped reading');
  }
}

/**
 * Keeps the process alive when the reader of its output ends (EPIPE) or the disk below it is full, either of which would
 * otherwise be an uncaught exception: lines are dropped, and writing is tried again after a pause. Lines are also dropped
 * while a reader is stalled, from the moment that one mebibyte is buffered until all of it is read: memory use would have
 * no bound. A failure is reported once, on stderr too, which without a spool is the only place left.
 */
export function openStandardOutput({
  stdout = process.stdout,
  stderr = process.stderr,
  pauseMs = PAUSE_MS,
}: StandardOutputOptions = {}): StandardOutput {
  const state: OutputState = {
    stdout,
    stderr,
    pauseMs,
    log: undefined,
    isFailing: false,
    pausedUntilMs: -Infinity,
    isStalled: false,
    droppedLines: 0,
  };
  // The callback of the failed write gets the same error.
  stdout.on('error', () => undefined);
  // Only this module and the runtime, at the end of the process, write to stderr.
  stderr.on('error', () => undefined);
  return {
    write: (lines) => write(state, lines),
    reportTo(log) {
      state.log = log;
    },
  };
}

function write(state: OutputState, lines: string | Buffer): boolean {
  const { stdout } = state;
  if (performance.now() < state.pausedUntilMs || !hasRoom(state)) {
    state.droppedLines += lines.toString().split('\n').length - 1;
    return true;
  }
  const mustWait = isBusy(stdout);
  // A copy, which is as long as the lines: they may be part of much more.
  stdout.write(mustWait ? Buffer.from(lines) : lines, (error) => onWritten(state, error));
  return mustWait || !isBusy(stdout);
}

/** It holds what its reader has not taken yet. */
const isBusy = ({ writableLength = 0 }: OutputStream): boolean => writableLength > 0;

/** A stalled reader counts as stalled until it has read everything. */
function hasRoom(state: OutputState): boolean {
  const buffered = state.stdout.writableLength ?? 0;
  state.isStalled = state.isStalled ? buffered > 0 : buffered > MAX_BUFFERED_BYTES;
  if (state.isStalled) reportFailure(state, new StalledReader());
  return !state.isStalled;
}

function onWritten(state: OutputState, error?: NodeJS.ErrnoException | null): void {
  if (error) {
    state.pausedUntilMs = performance.now() + state.pauseMs;
    reportFailure(state, error);
  } else if (state.isFailing && !state.isStalled) {
    const fields = { 'labels.dropped_lines': state.droppedLines };
    state.isFailing = false;
    state.droppedLines = 0;
    state.log?.info(fields, 'stdout recovered');
  }
}

function reportFailure(state: OutputState, error: NodeJS.ErrnoException): void {
  if (state.isFailing) return;
  state.isFailing = true;
  state.stderr.write(
    `Standard output cannot be written (${error.code ?? error.name}); going on without.\n`,
  );
  state.log?.warn({ err: error }, 'stdout write failed');
}
