import { unlink } from 'node:fs/promises';
import type { Backlog, Segment } from './backlog.js';
import type { DroppedLines } from './dropped-lines.js';
import { countLines, readSegment } from './segment-file.js';

/** Keeps the spool within its size. */
export interface SpoolCap {
  /** Makes room if there is too much. */
  check(): void;
  /** Adds a segment's lines to those that are dropped, read from the file if it can be. */
  count(segment: Segment): Promise<void>;
  /** Resolves when no work is under way. */
  settled(): Promise<void>;
}

/** What the cap is made of. */
export interface SpoolCapOptions {
  readonly maxBytes: number;
  readonly backlog: Backlog;
  readonly dropped: DroppedLines;
  /** Tells of what was dropped, in the spool itself. */
  readonly tell: () => void;
}

/** More goes at once than must: each time costs a record that tells of it, which takes room too. */
const LEFT_OVER = 0.95;

/**
 * Past its size the spool lets go of the oldest: first of copies of what the queue has, which costs nothing while Redis
 * lives, then of lines, which are counted. The record of the gap is written before the files go. How many lines a copy
 * held is remembered: if the queue loses them after all, they are counted then.
 */
export function createSpoolCap({ maxBytes, backlog, dropped, tell }: SpoolCapOptions): SpoolCap {
  let working: Promise<void> | undefined;

  const count = async (segment: Segment): Promise<void> => {
    try {
      dropped.add((await readSegment(segment.path)).toString());
    } catch {
      dropped.addUnread(segment.lines ?? 0);
    }
  };

  const linesIn = ({ path }: Segment): Promise<number> =>
    readSegment(path).then(countLines, () => 0);

  const makeRoom = async (): Promise<void> => {
    const { queued, waiting } = backlog.shrinkTo(maxBytes * LEFT_OVER);
    for (const copy of queued) copy.lines ??= await linesIn(copy);
    for (const segment of waiting) await count(segment);
    tell();
    // A file that stays is taken over by the next process: what was told as dropped is shipped then.
    await Promise.allSettled([...queued, ...waiting].map(({ path }) => unlink(path)));
  };

  return {
    check() {
      if (working || backlog.bytes <= maxBytes) return;
      working = makeRoom().finally(() => {
        working = undefined;
      });
    },
    count,
    settled: async () => working,
  };
}
