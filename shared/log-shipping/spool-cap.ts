import { unlink } from 'node:fs/promises';
import { shrinkTo, type Backlog, type Segment } from './backlog.js';
import { addDropped, addUnreadable, type DroppedLines } from './dropped-lines.js';
import { countLines, readSegment } from './segment-file.js';

/** Keeps the spool within its size. */
export interface SpoolCap {
  /** Deletes the oldest segments if the spool is too large. */
  enforce(): void;
  /** Resolves when no deletion is in progress. */
  settled(): Promise<void>;
}

export interface SpoolCapOptions {
  readonly maxBytes: number;
  readonly backlog: Backlog;
  readonly dropped: DroppedLines;
  /** Writes the record of the gap to the spool. */
  readonly reportGap: () => void;
}

/** More is deleted at once than necessary: each time costs a record of the gap, which takes space too. */
const SHARE_KEPT = 0.95;

/**
 * Above its size the spool deletes the oldest segments: first copies of what is in flight, which loses nothing as long as
 * Redis keeps its data, then waiting ones, whose lines are counted as dropped. The record of the gap is written before the
 * files are deleted. If the queue loses a batch whose copy is gone, its lines are counted then.
 */
export function createSpoolCap(options: SpoolCapOptions): SpoolCap {
  let deleting: Promise<void> | undefined;
  return {
    enforce() {
      if (deleting || options.backlog.bytes <= options.maxBytes) return;
      deleting = deleteOldest(options).finally(() => {
        deleting = undefined;
      });
    },
    settled: async () => deleting,
  };
}

async function deleteOldest({
  maxBytes,
  backlog,
  dropped,
  reportGap,
}: SpoolCapOptions): Promise<void> {
  const { copies, waiting } = shrinkTo(backlog, maxBytes * SHARE_KEPT);
  for (const copy of copies) copy.lines ??= await readLineCount(copy);
  for (const segment of waiting) await countAsDropped(dropped, segment);
  reportGap();
  // A file that cannot be deleted is taken over by the next process: lines reported as dropped are then shipped.
  await Promise.allSettled([...copies, ...waiting].map(({ path }) => unlink(path)));
}

const readLineCount = ({ path }: Segment): Promise<number> =>
  readSegment(path).then(countLines, () => 0);

/** Adds a segment's lines to those dropped, from its file if that can be read. */
export async function countAsDropped(dropped: DroppedLines, segment: Segment): Promise<void> {
  try {
    addDropped(dropped, (await readSegment(segment.path)).toString());
  } catch {
    addUnreadable(dropped, segment.lines ?? 0);
  }
}
