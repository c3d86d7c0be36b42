import { close as closeCallback, closeSync, fsync as fsyncCallback } from 'node:fs';
import { promisify } from 'node:util';
import { createSegment, type Segment } from './backlog.js';
import type { Lines } from './line-buffer.js';
import { appendLines, isFull, openSegmentFile, type SegmentFile } from './segment-file.js';
import { isMissing, type SpoolFolder, type SpoolFolders } from './spool-folders.js';

const close = promisify(closeCallback);
const fsync = promisify(fsyncCallback);

/** Writes lines to segments. */
export interface SegmentWriter {
  /**
   * Appends the lines synchronously, usually in one call. Never throws: lines that cannot be written go to `onFailed`.
   * Returns whether all were written.
   */
  append(lines: Lines): boolean;
  /** Seals the open segment, if there is one. */
  seal(): void;
  /** Abandons the open segment if it is in this folder, which is lost. Returns the number of its lines. */
  abandon(folder: SpoolFolder): number;
}

export interface SegmentWriterOptions {
  readonly folders: SpoolFolders;
  readonly onSealed: (segment: Segment) => void;
  /** Called with lines that could not be written, and with the error unless writing is paused. */
  readonly onFailed: (lines: Lines, error?: unknown) => void;
}

interface OpenSegment {
  readonly folder: SpoolFolder;
  readonly file: SegmentFile;
  readonly sealTimer: NodeJS.Timeout;
}

interface WriterState extends SegmentWriterOptions {
  open: OpenSegment | undefined;
  nextSequence: number;
  pausedUntilMs: number;
  /** Segments are synced one at a time: the thread pool also hashes passwords. */
  syncing: Promise<void>;
}

const MAX_AGE_MS = 1_000;
/** What the queue has by then needs no sync: there are two copies. The time bounds what a power cut costs without it. */
const SYNC_AFTER_MS = 1_000;
/** While the disk is full every attempt fails, and costs time that requests need. */
const PAUSE_AFTER_FAILURE_MS = 1_000;

/** Seals a segment at 500 lines, 1 MiB or one second after its first line, whichever comes first. */
export function createSegmentWriter(options: SegmentWriterOptions): SegmentWriter {
  const state: WriterState = {
    ...options,
    open: undefined,
    nextSequence: 0,
    pausedUntilMs: -Infinity,
    syncing: Promise.resolve(),
  };
  return {
    append: (lines) => append(state, lines),
    seal: () => seal(state),
    abandon: (folder) => (state.open?.folder === folder ? abandon(state) : 0),
  };
}

function append(state: WriterState, lines: Lines): boolean {
  if (performance.now() < state.pausedUntilMs) {
    state.onFailed(lines);
    return false;
  }
  let left = lines;
  while (left.count > 0) {
    try {
      const file = fileToAppendTo(state);
      left = appendLines(file, left);
      if (isFull(file)) seal(state);
    } catch (error) {
      state.pausedUntilMs = performance.now() + PAUSE_AFTER_FAILURE_MS;
      seal(state);
      state.onFailed(left, error);
      return false;
    }
  }
  return true;
}

/** The open segment's file, or a new one. @throws when none can be created. */
function fileToAppendTo(state: WriterState): SegmentFile {
  // First: if the folder is lost, this abandons the open segment.
  const folder = state.folders.current();
  if (state.open) return state.open.file;
  try {
    return openSegment(state, folder);
  } catch (error) {
    if (!isMissing(error)) throw error;
    state.folders.touch(folder);
    return openSegment(state, state.folders.current());
  }
}

function openSegment(state: WriterState, folder: SpoolFolder): SegmentFile {
  const file = openSegmentFile(folder.path, state.nextSequence);
  const sealTimer = setTimeout(seal, MAX_AGE_MS, state);
  sealTimer.unref();
  state.open = { folder, file, sealTimer };
  state.nextSequence += 1;
  return file;
}

function seal(state: WriterState): void {
  const sealed = detach(state);
  if (!sealed) return;
  const { folder, file } = sealed;
  const { sequence, path, bytes, lines } = file;
  const segment = createSegment({
    folder,
    sequence,
    path,
    writtenAt: Date.now(),
    bytes,
    lines,
    mayBeQueued: false,
  });
  setTimeout(closeSealed, SYNC_AFTER_MS, state, file.fd, segment).unref();
  state.onSealed(segment);
}

function abandon(state: WriterState): number {
  const abandoned = detach(state);
  if (!abandoned) return 0;
  closeNow(abandoned.file.fd);
  return abandoned.file.lines;
}

/** Ends the open segment; its file stays open. */
function detach(state: WriterState): OpenSegment | undefined {
  const { open } = state;
  clearTimeout(open?.sealTimer);
  state.open = undefined;
  return open;
}

/** Closes a sealed segment's file, and syncs it before if the queue does not have its lines. */
function closeSealed(state: WriterState, fd: number, { timesAdded }: Segment): void {
  if (timesAdded > 0) closeNow(fd);
  else state.syncing = state.syncing.then(() => syncAndClose(fd));
}

async function syncAndClose(fd: number): Promise<void> {
  try {
    await fsync(fd);
  } catch {
    // The lines are still in the page cache: only a crash of the machine could lose them.
  }
  await close(fd).catch(() => undefined);
}

function closeNow(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // The descriptor is gone all the same.
  }
}
