import { unlink } from 'node:fs/promises';
import { ConfigError } from '../config/config.js';
import { createLogThrottle } from '../logging/log-throttle.js';
import type { LogDestination, Logger } from '../logging/logger.js';
import type { LogMessage } from '../logging/messages.js';
import type { JobQueue } from '../queues/job-queue.js';
import type { QueueRoom } from '../queues/queue-room.js';
import type { Receipts } from '../queues/receipts.js';
import {
  addSegment,
  createBacklog,
  isFolderEmpty,
  oldestSeconds,
  removeFolderSegments,
  type Backlog,
  type Segment,
} from './backlog.js';
import {
  addDropped,
  addUnreadable,
  createDroppedLines,
  gapFields,
  takeUnreported,
  type DroppedLines,
} from './dropped-lines.js';
import type { FolderOwner } from './folder-owner.js';
import { createLineBuffer, type LineBuffer, type Lines } from './line-buffer.js';
import { createSegmentWriter, type SegmentWriter } from './segment-writer.js';
import { createShipper } from './shipper.js';
import { countAsDropped, createSpoolCap, type SpoolCap } from './spool-cap.js';
import {
  isMissing,
  openSpoolFolders,
  type SpoolFolder,
  type SpoolFolders,
  type SpoolFoldersOptions,
} from './spool-folders.js';
import { startTakeover } from './takeover.js';
import { truncateLine } from './truncate-line.js';

/**
 * Takes a process's log lines: to the disk first, then to standard output, and from the disk to Firehose. A line that
 * was on standard output is shipped at least once, however the process ends and whatever Redis loses, unless the spool
 * exceeds its size.
 */
export interface Spool extends LogDestination {
  /** Starts to ship segments, and to take over those of dead processes. */
  startShipping(route: ShippingRoute): Shipping;
  /** Writes buffered lines and releases the folders, synchronously. Later lines go to standard output alone. */
  close(): void;
  use(): SpoolUse;
}

/** How full a spool is. */
export interface SpoolUse {
  /** What waits on the disk. */
  readonly bytes: number;
  readonly maxBytes: number;
  /** Since the oldest segment without a receipt was written; 0 if there is none. */
  readonly oldestSeconds: number;
  /** Lines dropped since the start: they will never be shipped. */
  readonly droppedLines: number;
}

export interface Shipping {
  /** Enqueues what waits, until the deadline at most. What is left stays on disk for the next process. */
  stop(deadlineMs: number): Promise<void>;
}

/** Where segments are shipped to. */
export interface ShippingRoute {
  readonly queue: Pick<JobQueue<'logs'>, 'add' | 'stateOf'>;
  readonly receipts: Pick<Receipts, 'find'>;
  readonly room: QueueRoom;
  /** Writes to this spool; takes the records of gaps. */
  readonly log: Logger;
}

export interface SpoolOptions {
  readonly dir: string;
  /** Disk space for the segments of this process. */
  readonly maxBytes: number;
  /** Writes to standard output alone: takes what is wrong with the spool. */
  readonly localLog: Logger;
  /** Writes lines to standard output. Returns whether it is done with them: they may be overwritten then. */
  readonly print: (lines: Buffer) => boolean;
  readonly owner: FolderOwner;
}

interface SpoolState {
  readonly options: SpoolOptions;
  readonly dropped: DroppedLines;
  readonly backlog: Backlog;
  readonly folders: SpoolFolders;
  readonly writer: SegmentWriter;
  readonly buffer: LineBuffer;
  readonly cap: SpoolCap;
  /** Logs each problem once a minute at most. */
  readonly warn: (message: LogMessage, error?: unknown) => void;
  /** Both are set by `startShipping`. */
  gapLog: Logger | undefined;
  wakeShipper: () => void;
}

const SAME_WARNING_EVERY_MS = 60_000;

/**
 * Opens this process's folder below `dir`. Lines of one turn of the event loop are written together, first to the disk,
 * then to standard output; `fatal` lines and the end of the process do not wait for the end of the turn.
 * @throws {ConfigError} when the folder cannot be created or written.
 */
export function openSpool(options: SpoolOptions): Spool {
  const state = createState(options);
  const onExit = (): void => close(state, onExit);
  process.once('exit', onExit);
  return {
    write: (line) => state.buffer.write(truncateLine(line)),
    flushSync: state.buffer.flush,
    startShipping: (route) => startShipping(state, route),
    close: onExit,
    use: () => ({
      bytes: state.backlog.bytes,
      maxBytes: state.options.maxBytes,
      oldestSeconds: oldestSeconds(state.backlog),
      droppedLines: state.dropped.total,
    }),
  };
}

/** The parts that write: they work from the first line on, whether or not anything is ever shipped. */
function createState(options: SpoolOptions): SpoolState {
  const backlog = createBacklog();
  const dropped = createDroppedLines();
  const folders = openFolders({
    ...options,
    onLost: (folder, isTakenOver) => onFolderLost(state, folder, isTakenOver),
  });
  const state: SpoolState = {
    options,
    backlog,
    dropped,
    folders,
    writer: createSegmentWriter({
      folders,
      onSealed: (segment) => onSealed(state, segment),
      onFailed: (lines, error) => onWriteFailed(state, lines, error),
    }),
    buffer: createLineBuffer((lines) => writeLines(state, lines)),
    cap: createSpoolCap({
      maxBytes: options.maxBytes,
      backlog,
      dropped,
      reportGap() {
        reportGap(state);
        state.buffer.flush();
      },
    }),
    warn: createWarning(options.localLog, dropped),
    gapLog: undefined,
    wakeShipper: () => undefined,
  };
  return state;
}

function openFolders(options: SpoolFoldersOptions): SpoolFolders {
  try {
    return openSpoolFolders(options);
  } catch {
    throw new ConfigError([
      { variable: 'SPOOL_DIR', problem: 'names a folder that cannot be created or written' },
    ]);
  }
}

/** Disk first: what was on standard output must be in the spool. */
function writeLines(state: SpoolState, lines: Lines): boolean {
  const isWritten = state.writer.append(lines);
  const isPrinted = state.options.print(lines.text);
  if (isWritten) reportGap(state);
  return isPrinted;
}

/** Logs the lines dropped since the last record. */
function reportGap({ gapLog, dropped }: SpoolState): void {
  const gap = gapLog && takeUnreported(dropped);
  if (gap) gapLog.warn(gapFields(gap), 'log lines dropped');
}

function onSealed({ backlog, cap, wakeShipper }: SpoolState, segment: Segment): void {
  addSegment(backlog, segment);
  cap.enforce();
  wakeShipper();
}

function onWriteFailed(state: SpoolState, { text }: Lines, error: unknown): void {
  addDropped(state.dropped, text.toString());
  if (error !== undefined) state.warn('spool write failed', error);
}

function onFolderLost(state: SpoolState, folder: SpoolFolder, isTakenOver: boolean): void {
  const open = state.writer.abandon(folder);
  const waiting = removeFolderSegments(state.backlog, folder);
  const sealed = waiting.reduce((sum, { lines = 0 }) => sum + lines, 0);
  if (!isTakenOver) addUnreadable(state.dropped, open + sealed);
  state.warn('spool folder lost');
}

function startShipping(state: SpoolState, { log, ...route }: ShippingRoute): Shipping {
  const { options, backlog, folders, writer, buffer, cap } = state;
  const shipper = createShipper({
    ...route,
    backlog,
    touch: folders.touch,
    countDropped: (segment) => countAsDropped(state.dropped, segment),
    discard: (segment) => discard(state, segment),
  });
  // Gaps are recorded at any log level.
  state.gapLog = log.child({}, { level: 'warn' });
  state.wakeShipper = shipper.wake;
  const takeover = startTakeover({
    ...options,
    backlog,
    folders,
    log,
    onTakenOver() {
      cap.enforce();
      shipper.wake();
    },
  });
  shipper.wake();
  return {
    async stop(deadlineMs) {
      buffer.flush();
      writer.seal();
      await Promise.all([takeover.stop(), shipper.stop(deadlineMs), cap.settled()]);
    },
  };
}

/** Removes the file of a settled segment, and its folder if that was taken over and is empty. */
async function discard(
  { backlog, folders, warn }: SpoolState,
  { path, folder }: Segment,
): Promise<void> {
  try {
    await unlink(path).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    if (isFolderEmpty(backlog, folder)) await folders.remove(folder);
  } catch (error) {
    warn('spool segment removal failed', error);
  }
}

function close({ options, buffer, writer, folders }: SpoolState, onExit: () => void): void {
  process.off('exit', onExit);
  buffer.redirect(({ text }) => options.print(text));
  writer.seal();
  folders.release();
}

function createWarning(localLog: Logger, dropped: DroppedLines): SpoolState['warn'] {
  const isDue = createLogThrottle(SAME_WARNING_EVERY_MS);
  return (message, error) => {
    if (!isDue(message)) return;
    const fields = { 'labels.dropped_lines': dropped.total };
    localLog.warn(error === undefined ? fields : { ...fields, err: error }, message);
  };
}
