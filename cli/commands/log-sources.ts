import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Which lines: the last `lines` earlier ones that are shown, then all that follow until the signal aborts. */
export interface TailOptions {
  readonly lines: number;
  readonly isShown: (line: string) => boolean;
  readonly follows: boolean;
  readonly signal: AbortSignal;
}

const POLL_MS = 200;
/** The end of a file that is searched for earlier lines; a longer one while too few are found. */
const FIRST_BEFORE_BYTES = 4 * 1_048_576;
const WIDER = 8;
/** So much is read in a second or two. Also in the help of `--lines`. */
const MAX_BEFORE_BYTES = 256 * 1_048_576;
/** So many characters of the earlier lines are kept, and the last line however long it is. */
const MAX_KEPT_CHARACTERS = 4 * 1_048_576;
/** A longer line is shown in parts. */
const MAX_READ_BYTES = 1_048_576;

/** The lines of a stream, such as stdin, that are shown. */
export async function* streamLines(
  stream: AsyncIterable<Buffer | string>,
  { isShown }: Pick<TailOptions, 'isShown'>,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of stream) {
    const text = typeof part === 'string' ? part : decoder.decode(part, { stream: true });
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter((line) => isLine(line) && isShown(line));
  }
  if (isLine(rest) && isShown(rest)) yield rest;
}

/** The lines of a file; one that is replaced or emptied is read from its beginning. @throws when it cannot be read. */
export async function* fileLines(path: string, options: TailOptions): AsyncGenerator<string> {
  const { follows, isShown, signal } = options;
  let file = await openFile(path);
  try {
    yield* await linesBefore(file, options);
    while (follows && !signal.aborted) {
      let hasMore = false;
      for await (const more of readMore(file)) {
        hasMore = true;
        yield* more.filter(isShown);
      }
      if (hasMore) continue;
      await pause(signal);
      file = await reopened(file);
    }
  } finally {
    await file.handle.close();
  }
}

/** The last earlier lines that are shown; afterwards the file is read from behind them. */
async function linesBefore(file: TailedFile, options: TailOptions): Promise<readonly string[]> {
  const { signal } = options;
  const { size } = await file.handle.stat();
  for (let bytes = FIRST_BEFORE_BYTES; ; bytes *= WIDER) {
    file.position = Math.max(0, size - bytes);
    file.isWithinLine = file.position > 0;
    const isWhole = file.position === 0;
    const last = createLastLines(options);
    for await (const more of readMore(file)) {
      last.add(more);
      if (signal.aborted) break;
    }
    if (last.isComplete() || isWhole || bytes >= MAX_BEFORE_BYTES || signal.aborted)
      return last.lines();
  }
}

/** Keeps the last ones of the lines that are added, if they are shown; `compare` says which are the last, else the order in which they come. */
function createLastLines(
  { lines: count, isShown }: Pick<TailOptions, 'lines' | 'isShown'>,
  compare: (one: string, other: string) => number = () => 0,
) {
  let kept: readonly string[] = [];
  let isFull = false;
  return {
    add(lines: readonly string[]): void {
      const shown = lines.filter(isShown).map(detached);
      kept = [...kept, ...shown].toSorted(compare).slice(-count);
      let start = kept.length - 1;
      let characters = kept[start]?.length ?? 0;
      for (; start > 0 && characters <= MAX_KEPT_CHARACTERS; start -= 1)
        characters += kept[start - 1]?.length ?? 0;
      if (characters <= MAX_KEPT_CHARACTERS) return;
      isFull = true;
      kept = kept.slice(Math.min(start + 1, kept.length - 1));
    },
    lines: () => kept,
    /** No further line from before those that were added would be kept. */
    isComplete: () => isFull || kept.length === count,
  };
}

/** A copy: a part of a string keeps the whole string in memory. */
const detached = (line: string): string => Buffer.from(line).toString();

/**
 * The lines in the segments of a spool, in the order of their times where they are from before. A segment is removed once it has been
 * shipped: lines that are shipped between two looks, a fifth of a second, are not seen.
 */
export async function* spoolLines(dir: string, options: TailOptions): AsyncGenerator<string> {
  const { follows, isShown, signal } = options;
  const files = new Map<string, TailedFile>();
  try {
    const last = createLastLines(options, byTime);
    for await (const before of readSegments(dir, files)) last.add(before);
    yield* last.lines();
    while (follows && !signal.aborted) {
      await pause(signal);
      for await (const more of readSegments(dir, files)) yield* more.filter(isShown);
    }
  } finally {
    for (const { handle } of files.values()) await handle.close();
  }
}

interface TailedFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly inode: number;
  position: number;
  /** Where it is read first is within a line. */
  isWithinLine: boolean;
}

async function openFile(path: string): Promise<TailedFile> {
  const handle = await open(path, 'r');
  const { ino } = await handle.stat();
  return { path, handle, inode: ino, position: 0, isWithinLine: false };
}

/** The whole lines that have been added to a file, a MiB at a time. */
async function* readMore(file: TailedFile): AsyncGenerator<readonly string[]> {
  for (;;) {
    const { bytesRead, buffer } = await file.handle.read({
      buffer: Buffer.alloc(MAX_READ_BYTES),
      position: file.position,
    });
    if (bytesRead === 0) return;
    // A character may be cut in two: only whole lines are decoded.
    const end = buffer.lastIndexOf(0x0a, bytesRead - 1) + 1;
    const taken = end > 0 ? end : bytesRead === MAX_READ_BYTES ? bytesRead : 0;
    if (taken === 0) return;
    file.position += taken;
    const lines = buffer.toString('utf8', 0, taken).split('\n');
    if (file.isWithinLine) lines.shift();
    file.isWithinLine = false;
    yield lines.filter(isLine);
  }
}

/** The same file, or the one that has taken its place. */
async function reopened(file: TailedFile): Promise<TailedFile> {
  const { size } = await file.handle.stat();
  if (size < file.position) file.position = 0;
  try {
    const next = await openFile(file.path);
    if (next.inode === file.inode) {
      await next.handle.close();
      return file;
    }
    await file.handle.close();
    return next;
  } catch {
    // Moved away, and not made anew yet.
    return file;
  }
}

/** Lines that have been added to the segments since the last look; forgets segments that are gone. */
async function* readSegments(
  dir: string,
  files: Map<string, TailedFile>,
): AsyncGenerator<readonly string[]> {
  const paths = (await readdir(dir, { recursive: true }).catch(() => []))
    .filter((name) => name.endsWith('.ndjson'))
    .map((name) => join(dir, name))
    .toSorted();
  for (const path of paths) {
    const file = files.get(path) ?? (await openFile(path).catch(() => undefined));
    // It has been shipped since the folder was read.
    if (!file) continue;
    files.set(path, file);
    yield* readMore(file);
  }
  for (const [path, file] of files) {
    if (paths.includes(path)) continue;
    // What was added before it was removed can still be read.
    yield* readMore(file);
    files.delete(path);
    await file.handle.close();
  }
}

const isLine = (text: string): boolean => text !== '';

/** Each line has its time in the same form. */
function byTime(one: string, other: string): number {
  const [a, b] = [timeIn(one), timeIn(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function timeIn(line: string): string {
  const start = line.indexOf('"@timestamp":"');
  return start < 0 ? '' : line.slice(start + 14, start + 38);
}

const pause = (signal: AbortSignal): Promise<void> =>
  delay(POLL_MS, undefined, { signal }).catch(() => undefined);
