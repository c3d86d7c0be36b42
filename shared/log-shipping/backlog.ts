import type { SpoolFolder } from './spool-folders.js';

/** A sealed segment: the lines of one batch, on disk until they are known to be shipped. */
export interface Segment {
  readonly folder: SpoolFolder;
  readonly sequence: number;
  readonly path: string;
  /** None once its file is gone and only the queue has it. */
  bytes: number;
  /** How many lines it holds; unknown of one that was taken over. */
  lines: number | undefined;
  /** Raised when the queue has given the batch's job up, or lost it again: its id is taken then. */
  generation: number;
  /** How often this process has added its job under this generation's id. */
  timesAdded: number;
  /** The queue may know its job already: it was taken over, or an answer was lost. */
  mayBeQueued: boolean;
  /** When its job was last known to be there, in `performance.now()`. */
  seenAtMs: number;
}

/** All sealed segments of this process: those that wait for the queue, and those whose proof is awaited. */
export interface Backlog {
  /** On disk, in whole blocks. */
  readonly bytes: number;
  add(segment: Segment): void;
  /** Adds older ones: they go before all that wait. */
  addOlder(segments: readonly Segment[]): void;
  /** The one to enqueue next. */
  next(): Segment | undefined;
  /** Puts one behind all others. */
  postpone(segment: Segment): void;
  enqueued(segment: Segment): void;
  /** Those that the queue has, as far as is known, oldest first. */
  queued(): Segment[];
  hasQueued(): boolean;
  /** Their jobs are not in the queue, or it is not known any more: they wait again, before all others. */
  requeue(segments: readonly Segment[]): void;
  /** False if it was gone already. */
  remove(segment: Segment): boolean;
  /** Removes all of a folder; returns those that waited. */
  removeFolder(folder: SpoolFolder): Segment[];
  has(segment: Segment): boolean;
  isEmpty(folder: SpoolFolder): boolean;
  /**
   * Names the oldest until no more than so many bytes are left. Copies of what the queue has go first: such a segment stays
   * here without its bytes. One that waits is taken out.
   */
  shrinkTo(bytes: number): { waiting: Segment[]; queued: Segment[] };
}

const BLOCK_BYTES = 4_096;

/** Nothing yet. Every step is of constant cost, but for those that name many segments. */
export function createBacklog(): Backlog {
  let waiting = new Set<Segment>();
  const queued = new Set<Segment>();
  const perFolder = new Map<SpoolFolder, number>();
  let bytes = 0;

  const count = (segment: Segment, sign: 1 | -1): void => {
    bytes += sign * blocksOf(segment);
    const left = (perFolder.get(segment.folder) ?? 0) + sign;
    if (left > 0) perFolder.set(segment.folder, left);
    else perFolder.delete(segment.folder);
  };
  const remove = (segment: Segment): boolean => {
    const wasThere = waiting.delete(segment) || queued.delete(segment);
    if (wasThere) count(segment, -1);
    return wasThere;
  };
  const shrink = (
    from: ReadonlySet<Segment>,
    limit: number,
    letGo: (segment: Segment) => void,
  ): Segment[] => {
    const gone: Segment[] = [];
    for (const segment of from) {
      if (bytes <= limit) break;
      if (segment.bytes === 0) continue;
      letGo(segment);
      gone.push(segment);
    }
    return gone;
  };
  const forgetFile = (segment: Segment): void => {
    bytes -= blocksOf(segment);
    segment.bytes = 0;
  };

  return {
    get bytes() {
      return bytes;
    },
    add(segment) {
      waiting.add(segment);
      count(segment, 1);
    },
    addOlder(segments) {
      waiting = new Set([...segments, ...waiting]);
      for (const segment of segments) count(segment, 1);
    },
    next: () => first(waiting),
    postpone(segment) {
      if (waiting.delete(segment)) waiting.add(segment);
    },
    enqueued(segment) {
      if (!waiting.delete(segment)) return;
      segment.seenAtMs = performance.now();
      queued.add(segment);
    },
    queued: () => [...queued],
    hasQueued: () => queued.size > 0,
    requeue(segments) {
      const back = segments.filter((segment) => queued.delete(segment));
      waiting = new Set([...back, ...waiting]);
    },
    remove,
    removeFolder(folder) {
      const waited = [...waiting].filter((segment) => segment.folder === folder);
      for (const segment of [...waited, ...queued]) if (segment.folder === folder) remove(segment);
      return waited;
    },
    has: (segment) => waiting.has(segment) || queued.has(segment),
    isEmpty: (folder) => !perFolder.has(folder),
    shrinkTo(limit) {
      const copies = shrink(queued, limit, forgetFile);
      return { queued: copies, waiting: shrink(waiting, limit, remove) };
    },
  };
}

const blocksOf = ({ bytes }: Segment): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;

function first<T>(set: ReadonlySet<T>): T | undefined {
  for (const item of set) return item;
  return undefined;
}
