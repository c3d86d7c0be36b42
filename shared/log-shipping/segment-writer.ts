import { close as closeCallback, fsync as fsyncCallback } from 'node:fs';
import { promisify } from 'node:util';
import type { Segment } from './backlog.js';
import { isMissing, type FolderKeeper, type SpoolFolder } from './spool-folders.js';
import { openSegmentFile, type SegmentFile } from './segment-file.js';

const close = promisify(closeCallback);
const fsync = promisify(fsyncCallback);

/** Writes lines into segments. */
export interface SpoolWriter {
  /**
   * Appends the lines at once, in one call as a rule. Never throws: what cannot be written goes to `onFailed`.
   * Returns whether all was written.
   */
  append(lines: readonly string[]): boolean;
  /** Ends the open segment, if there is one. */
  seal(): void;
  /** Lets go of the open segment if it is in this folder, which is lost. Returns how many lines it had. */
  forget(folder: SpoolFolder): number;
}

/** How a writer is made. */
export interface SpoolWriterOptions {
  readonly keeper: FolderKeeper;
  readonly onSealed: (segment: Segment) => void;
  /** Called with the lines that could not be written, and why if this was tried. */
  readonly onFailed: (lines: readonly string[], error?: unknown) => void;
}

const MAX_AGE_MS = 1_000;
/** A disk that is full fails at every try: the process has other things to do. */
const REST_AFTER_FAILURE_MS = 1_000;

/** Seals a segment at 500 lines, 1 MiB or one second after its first line, whichever comes first. */
export function createSpoolWriter({ keeper, onSealed, onFailed }: SpoolWriterOptions): SpoolWriter {
  let open: { folder: SpoolFolder; file: SegmentFile } | undefined;
  let sequence = 0;
  let sealTimer: NodeJS.Timeout | undefined;
  let restUntil = -Infinity;
  // One after another: the threads that sync are those that hash passwords.
  let syncing = Promise.resolve();

  const detach = (): { folder: SpoolFolder; file: SegmentFile } | undefined => {
    clearTimeout(sealTimer);
    sealTimer = undefined;
    const detached = open;
    open = undefined;
    if (detached) syncing = syncing.then(() => syncAndClose(detached.file.fd));
    return detached;
  };

  const seal = (): void => {
    const sealed = detach();
    if (sealed) onSealed(segmentOf(sealed));
  };

  const forget = (folder: SpoolFolder): number =>
    open?.folder === folder ? (detach()?.file.lines ?? 0) : 0;

  const openSegment = (): SegmentFile => {
    const folder = keeper.current();
    if (open) return open.file;
    try {
      open = { folder, file: openSegmentFile(folder.path, sequence) };
    } catch (error) {
      if (!isMissing(error)) throw error;
      keeper.verify(folder);
      const another = keeper.current();
      open = { folder: another, file: openSegmentFile(another.path, sequence) };
    }
    sequence += 1;
    sealTimer = setTimeout(seal, MAX_AGE_MS);
    sealTimer.unref();
    return open.file;
  };

  return {
    append(lines) {
      if (performance.now() < restUntil) {
        onFailed(lines);
        return false;
      }
      for (let start = 0; start < lines.length;) {
        try {
          const file = openSegment();
          start = file.append(lines, start);
          if (file.isFull) seal();
        } catch (error) {
          restUntil = performance.now() + REST_AFTER_FAILURE_MS;
          seal();
          onFailed(lines.slice(start), error);
          return false;
        }
      }
      return true;
    },
    seal,
    forget,
  };
}

const segmentOf = ({ folder, file }: { folder: SpoolFolder; file: SegmentFile }): Segment => ({
  folder,
  sequence: file.sequence,
  path: file.path,
  bytes: file.bytes,
  lines: file.lines,
  generation: 0,
  timesAdded: 0,
  mayBeQueued: false,
  seenAtMs: 0,
});

async function syncAndClose(fd: number): Promise<void> {
  try {
    await fsync(fd);
  } catch {
    // It is in the page cache all the same: only a crash of the machine could lose it.
  }
  await close(fd).catch(() => undefined);
}
