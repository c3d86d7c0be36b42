import type { SpoolFolder } from './spool-folders.js';

/** A sealed segment: the lines of one batch, on disk until a receipt proves them shipped. */
export interface Segment {
  readonly folder: SpoolFolder;
  readonly sequence: number;
  readonly path: string;
  /** When its last line was written, by the wall clock: a segment outlives its process. */
  readonly writtenAt: number;
  /** Zero once its file was deleted to make room and only the queue has its lines. */
  bytes: number;
  /** Unknown after a takeover. */
  lines: number | undefined;
  /** The queue may already have its job: the segment was taken over, or an answer of Redis was lost. */
  mayBeQueued: boolean;
  /** Part of the job's id. Raised when the queue has failed the job or lost it again: its id is then in use. */
  generation: number;
  /** How often this process has added its job in this generation. */
  timesAdded: number;
  /** When its job was last seen in the queue, by `performance.now()`. */
  lastSeenMs: number;
}

/** A segment of generation 0 that this process has not enqueued. */
export const createSegment = (
  facts: Pick<
    Segment,
    'folder' | 'sequence' | 'path' | 'writtenAt' | 'bytes' | 'lines' | 'mayBeQueued'
  >,
): Segment => ({ ...facts, generation: 0, timesAdded: 0, lastSeenMs: 0 });

/** All sealed segments of this process. Only this module changes it. */
export interface Backlog {
  /** To be enqueued, in this order. */
  waiting: Set<Segment>;
  /** Enqueued and without a receipt yet, oldest first. */
  readonly inFlight: Set<Segment>;
  readonly segmentsPerFolder: Map<SpoolFolder, number>;
  /** On disk, in whole blocks. */
  bytes: number;
}

const BLOCK_BYTES = 4_096;

export const createBacklog = (): Backlog => ({
  waiting: new Set(),
  inFlight: new Set(),
  segmentsPerFolder: new Map(),
  bytes: 0,
});

/** Adds a segment behind all that wait. */
export function addSegment(backlog: Backlog, segment: Segment): void {
  backlog.waiting.add(segment);
  count(backlog, segment, 1);
}

/** Adds segments of another process before all that wait. */
export function addOlderSegments(backlog: Backlog, segments: readonly Segment[]): void {
  backlog.waiting = new Set([...segments, ...backlog.waiting]);
  for (const segment of segments) count(backlog, segment, 1);
}

/** The segment to enqueue next. */
export function nextWaiting({ waiting }: Backlog): Segment | undefined {
  for (const segment of waiting) return segment;
  return undefined;
}

/** True for a segment that is about to be enqueued for the first time, while no other waits: it was sealed a moment ago. */
export const isFresh = ({ waiting }: Backlog, { mayBeQueued, timesAdded }: Segment): boolean =>
  waiting.size === 1 && !mayBeQueued && timesAdded === 0;

/** Moves a waiting segment behind all others. */
export function postpone({ waiting }: Backlog, segment: Segment): void {
  if (waiting.delete(segment)) waiting.add(segment);
}

/** The queue has its job. */
export function markInFlight({ waiting, inFlight }: Backlog, segment: Segment): void {
  if (!waiting.delete(segment)) return;
  segment.lastSeenMs = performance.now();
  inFlight.add(segment);
}

/** The queue no longer has their jobs, as far as is known: they wait again, before all others. */
export function returnToWaiting(backlog: Backlog, segments: readonly Segment[]): void {
  const returned = segments.filter((segment) => backlog.inFlight.delete(segment));
  backlog.waiting = new Set([...returned, ...backlog.waiting]);
}

export const hasSegment = ({ waiting, inFlight }: Backlog, segment: Segment): boolean =>
  waiting.has(segment) || inFlight.has(segment);

/** Seconds since the oldest segment without a receipt was written; 0 if there is none. */
export function oldestSeconds({ waiting, inFlight }: Backlog): number {
  let oldest = Infinity;
  // Neither is in the order of their times: segments are taken over, postponed and returned.
  for (const segments of [waiting, inFlight])
    for (const { writtenAt } of segments) oldest = Math.min(oldest, writtenAt);
  return oldest === Infinity ? 0 : Math.max(0, Date.now() - oldest) / 1_000;
}

export const isFolderEmpty = ({ segmentsPerFolder }: Backlog, folder: SpoolFolder): boolean =>
  !segmentsPerFolder.has(folder);

/** Returns false if the segment was removed before. */
export function removeSegment(backlog: Backlog, segment: Segment): boolean {
  const wasThere = backlog.waiting.delete(segment) || backlog.inFlight.delete(segment);
  if (wasThere) count(backlog, segment, -1);
  return wasThere;
}

/** Removes all segments of a folder, and returns those that were waiting. */
export function removeFolderSegments(backlog: Backlog, folder: SpoolFolder): Segment[] {
  const waiting = [...backlog.waiting].filter((segment) => segment.folder === folder);
  for (const segment of [...waiting, ...backlog.inFlight])
    if (segment.folder === folder) removeSegment(backlog, segment);
  return waiting;
}

/**
 * Selects the oldest segments until no more than `maxBytes` are left. First those in flight, of which
 * the queue has a copy: they stay in the backlog, without bytes. Then waiting ones, which are removed.
 */
export function shrinkTo(
  backlog: Backlog,
  maxBytes: number,
): { copies: Segment[]; waiting: Segment[] } {
  const copies = selectOldest(backlog, backlog.inFlight, maxBytes, (segment) => {
    backlog.bytes -= blocksOf(segment);
    segment.bytes = 0;
  });
  const waiting = selectOldest(backlog, backlog.waiting, maxBytes, (segment) =>
    removeSegment(backlog, segment),
  );
  return { copies, waiting };
}

function selectOldest(
  backlog: Backlog,
  segments: ReadonlySet<Segment>,
  maxBytes: number,
  discard: (segment: Segment) => void,
): Segment[] {
  const selected: Segment[] = [];
  for (const segment of segments) {
    if (backlog.bytes <= maxBytes) break;
    if (segment.bytes === 0) continue;
    discard(segment);
    selected.push(segment);
  }
  return selected;
}

function count(backlog: Backlog, segment: Segment, sign: 1 | -1): void {
  const { segmentsPerFolder } = backlog;
  backlog.bytes += sign * blocksOf(segment);
  const left = (segmentsPerFolder.get(segment.folder) ?? 0) + sign;
  if (left > 0) segmentsPerFolder.set(segment.folder, left);
  else segmentsPerFolder.delete(segment.folder);
}

const blocksOf = ({ bytes }: Segment): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
