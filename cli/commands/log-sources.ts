import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Which lines: the last ones of before, and all that follow until the signal aborts. */
export interface TailOptions {
  readonly lines: number;
  readonly follows: boolean;
  readonly signal: AbortSignal;
}

const POLL_MS = 200;
/** The end of a file that is searched for the lines of before. */
const MAX_BEFORE_BYTES = 4 * 1_048_576;
/** A longer line is shown in parts. */
const MAX_READ_BYTES = 1_048_576;

/** The lines of a stream, such as stdin. */
export async function* streamLines(stream: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of stream) {
    const text = typeof part === 'string' ? part : decoder.decode(part, { stream: true });
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter(isLine);
  }
  if (rest !== '') yield rest;
}

/** The lines of a file; one that is replaced or emptied is read from its beginning. @throws when it cannot be read. */
export async function* fileLines(
  path: string,
  { lines, follows, signal }: TailOptions,
): AsyncGenerator<string> {
  let file = await openTail(path);
  try {
    yield* (await readMore(file)).slice(-lines);
    while (follows && !signal.aborted) {
      const more = await readMore(file);
      yield* more;
      if (more.length === 0) {
        await pause(signal);
        file = await reopened(file);
      }
    }
  } finally {
    await file.handle.close();
  }
}

/**
 * The lines in the segments of a spool, in the order of their times where they are from before. A segment is removed once it has been
 * shipped: lines that are shipped between two looks, a fifth of a second, are not seen.
 */
export async function* spoolLines(
  dir: string,
  { lines, follows, signal }: TailOptions,
): AsyncGenerator<string> {
  const files = new Map<string, TailedFile>();
  try {
    const before = await readSegments(dir, files);
    yield* before.toSorted(byTime).slice(-lines);
    while (follows && !signal.aborted) {
      await pause(signal);
      yield* await readSegments(dir, files);
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

async function openTail(path: string): Promise<TailedFile> {
  const handle = await open(path, 'r');
  const { size, ino } = await handle.stat();
  const position = Math.max(0, size - MAX_BEFORE_BYTES);
  return { path, handle, inode: ino, position, isWithinLine: position > 0 };
}

/** The whole lines that have been added to a file. */
async function readMore(file: TailedFile): Promise<string[]> {
  const found: string[] = [];
  for (;;) {
    const { bytesRead, buffer } = await file.handle.read({
      buffer: Buffer.alloc(MAX_READ_BYTES),
      position: file.position,
    });
    if (bytesRead === 0) return found;
    // A character may be cut in two: only whole lines are decoded.
    const end = buffer.lastIndexOf(0x0a, bytesRead - 1) + 1;
    const taken = end > 0 ? end : bytesRead === MAX_READ_BYTES ? bytesRead : 0;
    if (taken === 0) return found;
    file.position += taken;
    const lines = buffer.toString('utf8', 0, taken).split('\n');
    if (file.isWithinLine) lines.shift();
    file.isWithinLine = false;
    found.push(...lines.filter(isLine));
  }
}

/** The same file, or the one that has taken its place. */
async function reopened(file: TailedFile): Promise<TailedFile> {
  const { size } = await file.handle.stat();
  if (size < file.position) file.position = 0;
  try {
    const next = await openTail(file.path);
    if (next.inode === file.inode) {
      await next.handle.close();
      return file;
    }
    await file.handle.close();
    return { ...next, position: 0, isWithinLine: false };
  } catch {
    // Moved away, and not made anew yet.
    return file;
  }
}

/** Lines that have been added to the segments since the last look; forgets segments that are gone. */
async function readSegments(dir: string, files: Map<string, TailedFile>): Promise<string[]> {
  const paths = (await readdir(dir, { recursive: true }).catch(() => []))
    .filter((name) => name.endsWith('.ndjson'))
    .map((name) => join(dir, name))
    .toSorted();
  const found: string[] = [];
  for (const path of paths) {
    const file = files.get(path) ?? (await openTail(path).catch(() => undefined));
    // It has been shipped since the folder was read.
    if (!file) continue;
    files.set(path, file);
    found.push(...(await readMore(file)));
  }
  for (const [path, file] of files) {
    if (paths.includes(path)) continue;
    // What was added before it was removed can still be read.
    found.push(...(await readMore(file)));
    files.delete(path);
    await file.handle.close();
  }
  return found;
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
