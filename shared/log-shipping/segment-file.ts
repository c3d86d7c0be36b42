import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_BATCH_RECORDS } from '../jobs/ship-log-batch.js';

const MAX_SEGMENT_BYTES = 1_024 * 1_024;
const NEWLINE = 0x0a;
const SUFFIX = '.ndjson';

/** A file of whole lines that is being written: what becomes one batch. */
export interface SegmentFile {
  readonly fd: number;
  readonly path: string;
  readonly sequence: number;
  readonly lines: number;
  readonly bytes: number;
  /** At 500 lines or 1 MiB. */
  readonly isFull: boolean;
  /**
   * Appends as many lines as fit, from this one on, in one call; returns where the rest begins. In the page cache they
   * survive the process, not the machine. @throws when not all was written; what was, is taken back if it can be.
   */
  append(lines: readonly string[], start: number): number;
}

/** Opens a new segment. Lines are personal data: nobody else may read them. @throws as `openSync` does. */
export function openSegmentFile(folder: string, sequence: number): SegmentFile {
  const path = segmentPath(folder, sequence);
  const fd = openSync(path, 'ax', 0o600);
  let lines = 0;
  let bytes = 0;
  const isFull = (): boolean => lines >= MAX_BATCH_RECORDS || bytes >= MAX_SEGMENT_BYTES;

  const writeAll = (text: Buffer): void => {
    let written = 0;
    try {
      while (written < text.length) written += writeSync(fd, text, written);
    } catch (error) {
      takeBack(fd, bytes);
      throw error;
    }
  };

  return {
    fd,
    path,
    sequence,
    get lines() {
      return lines;
    },
    get bytes() {
      return bytes;
    },
    get isFull() {
      return isFull();
    },
    append(all, start) {
      let end = start;
      let size = bytes;
      while (
        end < all.length &&
        lines + end - start < MAX_BATCH_RECORDS &&
        size < MAX_SEGMENT_BYTES
      ) {
        size += Buffer.byteLength(all[end] ?? '');
        end += 1;
      }
      writeAll(Buffer.from(all.slice(start, end).join('')));
      lines += end - start;
      bytes = size;
      return end;
    },
  };
}

/** Where a folder keeps its segment of this number. */
const segmentPath = (folder: string, sequence: number): string =>
  join(folder, `${String(sequence).padStart(9, '0')}${SUFFIX}`);

/** The number of a segment by its file's name; nothing if the file is none. */
export function segmentSequence(fileName: string): number | undefined {
  return /^\d{9}\.ndjson$/.test(fileName) ? Number.parseInt(fileName, 10) : undefined;
}

/** A segment's whole lines: a torn last one, which a process was killed over, is left out. @throws as `readFile` does. */
export async function readSegment(path: string): Promise<Buffer> {
  const content = await readFile(path);
  return content.subarray(0, content.lastIndexOf(NEWLINE) + 1);
}

/** How many lines there are, each with its newline. */
export function countLines(lines: Buffer): number {
  let count = 0;
  for (let at = lines.indexOf(NEWLINE); at >= 0; at = lines.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

function takeBack(fd: number, bytes: number): void {
  try {
    ftruncateSync(fd, bytes);
  } catch {
    // Then a torn line stays at the end, and whoever reads the segment leaves it out.
  }
}
