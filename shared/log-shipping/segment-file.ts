import { ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_BATCH_RECORDS } from '../jobs/ship-log-batch.js';

const MAX_SEGMENT_BYTES = 1_024 * 1_024;
const NEWLINE = 0x0a;
const SUFFIX = '.ndjson';

/** A file of whole lines that is open for writing: it becomes one batch. */
export interface SegmentFile {
  readonly fd: number;
  readonly path: string;
  readonly sequence: number;
  lines: number;
  bytes: number;
}

/** Creates a segment, readable by this user only: lines contain personal data. @throws as `openSync` does. */
export function openSegmentFile(folder: string, sequence: number): SegmentFile {
  const path = segmentPath(folder, sequence);
  return { fd: openSync(path, 'ax', 0o600), path, sequence, lines: 0, bytes: 0 };
}

/** A segment is full at 500 lines or 1 MiB. */
export const isFull = ({ lines, bytes }: SegmentFile): boolean =>
  lines >= MAX_BATCH_RECORDS || bytes >= MAX_SEGMENT_BYTES;

/**
 * Appends as many lines as fit, starting at `start`, in one call, and returns the index of the first line that is left.
 * In the page cache lines survive the process, not the machine.
 * @throws when not all was written; the part that was written is truncated if possible.
 */
export function appendLines(file: SegmentFile, lines: readonly string[], start: number): number {
  const roomLeft = MAX_BATCH_RECORDS - file.lines;
  let end = Math.min(lines.length, start + roomLeft);
  let text = encode(lines, start, end);
  if (file.bytes + text.length > MAX_SEGMENT_BYTES) {
    end = endOfFitting(file, lines, start, end);
    text = encode(lines, start, end);
  }
  writeAll(file, text);
  file.lines += end - start;
  file.bytes += text.length;
  return end;
}

const encode = (lines: readonly string[], start: number, end: number): Buffer =>
  Buffer.from((start === 0 && end === lines.length ? lines : lines.slice(start, end)).join(''));

/** The index after the line with which the file reaches its size. */
function endOfFitting(
  file: SegmentFile,
  lines: readonly string[],
  start: number,
  end: number,
): number {
  let { bytes } = file;
  let at = start;
  for (; at < end && bytes < MAX_SEGMENT_BYTES; at++) bytes += Buffer.byteLength(lines[at] ?? '');
  return at;
}

function writeAll({ fd, bytes }: SegmentFile, text: Buffer): void {
  let written = 0;
  try {
    while (written < text.length) written += writeSync(fd, text, written);
  } catch (error) {
    truncateTo(fd, bytes);
    throw error;
  }
}

function truncateTo(fd: number, bytes: number): void {
  try {
    ftruncateSync(fd, bytes);
  } catch {
    // A torn line stays at the end; readers ignore it.
  }
}

const segmentPath = (folder: string, sequence: number): string =>
  join(folder, `${String(sequence).padStart(9, '0')}${SUFFIX}`);

/** The number in a segment's file name; undefined for any other file. */
export function segmentSequence(fileName: string): number | undefined {
  return /^\d{9}\.ndjson$/.test(fileName) ? Number.parseInt(fileName, 10) : undefined;
}

/**
 * Reads a segment's whole lines, without a torn last line that a killed process has left. @throws as `readFile` does.
 * @param isFresh written a moment ago: it is in the page cache, and the thread pool would take ten times as long.
 */
export async function readSegment(path: string, isFresh = false): Promise<Buffer> {
  const content = isFresh ? readFileSync(path) : await readFile(path);
  return content.subarray(0, content.lastIndexOf(NEWLINE) + 1);
}

/** Counts lines, each with its newline. */
export function countLines(lines: Buffer): number {
  let count = 0;
  for (let at = lines.indexOf(NEWLINE); at >= 0; at = lines.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}
