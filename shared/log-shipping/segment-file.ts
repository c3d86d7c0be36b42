import { ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_BATCH_RECORDS } from '../jobs/ship-log-batch.js';
import type { Lines } from './line-buffer.js';

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
export const isFull = ({ lines, bytes }: Pick<SegmentFile, 'lines' | 'bytes'>): boolean =>
  lines >= MAX_BATCH_RECORDS || bytes >= MAX_SEGMENT_BYTES;

/**
 * Appends as many lines as fit, in one call, and returns those that are left. In the page cache lines survive the process,
 * not the machine.
 * @throws when not all was written; the part that was written is truncated if possible.
 */
export function appendLines(file: SegmentFile, lines: Lines): Lines {
  const { text, count } = hasRoomFor(file, lines) ? lines : firstThatFit(file, lines);
  writeAll(file, text);
  file.lines += count;
  file.bytes += text.length;
  return { text: lines.text.subarray(text.length), count: lines.count - count };
}

const hasRoomFor = (file: SegmentFile, { text, count }: Lines): boolean =>
  file.lines + count <= MAX_BATCH_RECORDS && file.bytes + text.length <= MAX_SEGMENT_BYTES;

/** Up to the line with which the file is full. */
function firstThatFit(file: SegmentFile, { text }: Lines): Lines {
  let count = 0;
  let end = 0;
  while (end < text.length && !isFull({ lines: file.lines + count, bytes: file.bytes + end })) {
    end = text.indexOf(NEWLINE, end) + 1;
    count += 1;
  }
  return { text: text.subarray(0, end), count };
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
