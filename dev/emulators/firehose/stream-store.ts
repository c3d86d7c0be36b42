import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** A stored record, one line of the stream's file. `seq` counts from 1 within its stream. */
export interface StoredRecord {
  readonly seq: number;
  readonly record_id: string;
  readonly received_at: string;
  /** The record, if it is one JSON object on one line, as OpenSearch takes it. */
  readonly document?: Record<string, unknown>;
  /** Anything else, base64. */
  readonly data?: string;
}

/** Which records to read: without `after` the newest first, with it those that follow, oldest first. */
export interface RecordQuery {
  readonly after?: number | undefined;
  readonly before?: number | undefined;
  readonly limit: number;
  /** Only records that contain this text, ignoring case. */
  readonly text?: string | undefined;
  /** Only records of this `log.level` or a more severe one. */
  readonly lowestLevel?: string | undefined;
}

/** Matching records, and the `after` that continues the query. */
export interface RecordPage {
  readonly records: StoredRecord[];
  readonly nextAfter: number;
}

/** The records of one delivery stream, in `FOLDER/NAME.ndjson`. */
export interface StreamStore {
  readonly name: string;
  readonly count: number;
  /** Appends records, and resolves to their ids when they are in the file. Concurrent calls keep their order. */
  append(records: readonly Buffer[]): Promise<string[]>;
  read(query: RecordQuery): Promise<RecordPage>;
  close(): Promise<void>;
}

const suffix = '.ndjson';
const linesPerRead = 500;
const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** The names of the streams that have a file in the folder. */
export async function listStreams(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch(() => []);
  return files.filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length));
}

/** Opens a stream's file, creates it if it is missing, and truncates a torn last line. */
export async function openStreamStore(folder: string, name: string): Promise<StreamStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Log lines contain personal data: only this user may read them.
  const file = await open(join(folder, name + suffix), 'a+', 0o600);
  const ends = await scanLineEnds(file);
  const stream: StreamFile = { file, ends, lastAppend: Promise.resolve() };
  await file.truncate(sizeOf(stream));
  return {
    name,
    get count() {
      return ends.length;
    },
    append: (records) => append(stream, records),
    read: ({ after, ...query }) =>
      after === undefined ? readNewest(stream, query) : readAfter(stream, { ...query, after }),
    async close() {
      await stream.lastAppend;
      await file.close();
    },
  };
}

interface StreamFile {
  readonly file: FileHandle;
  /** `ends[i]` is the offset at which line i+1 ends: finds any record without keeping records in memory. */
  readonly ends: number[];
  /** The latest append. Appends are serialized. */
  lastAppend: Promise<unknown>;
}

const sizeOf = ({ ends }: StreamFile): number => ends.at(-1) ?? 0;

function append(stream: StreamFile, records: readonly Buffer[]): Promise<string[]> {
  const done = stream.lastAppend.then(() => write(stream, records));
  // A failure is reported to its own caller, and does not keep the next append from running.
  stream.lastAppend = done.catch(() => undefined);
  return done;
}

async function write(stream: StreamFile, records: readonly Buffer[]): Promise<string[]> {
  const { file, ends } = stream;
  const receivedAt = new Date().toISOString();
  const ids = records.map(() => randomUUID());
  const lines = records.map((record, index) =>
    Buffer.from(lineOf(ends.length + index + 1, ids[index] ?? '', receivedAt, record)),
  );
  try {
    await file.appendFile(Buffer.concat(lines));
  } catch (error) {
    // A full disk may have taken a part of the lines.
    await file.truncate(sizeOf(stream));
    throw error;
  }
  for (const line of lines) ends.push(sizeOf(stream) + line.length);
  return ids;
}

async function readNewest(
  stream: StreamFile,
  query: Omit<RecordQuery, 'after'>,
): Promise<RecordPage> {
  const { ends } = stream;
  const count = ends.length;
  const found: StoredRecord[] = [];
  for (
    let last = lastMatching(count, query);
    last >= 1 && found.length < query.limit;
    last -= linesPerRead
  ) {
    const lines = await readLines(stream, Math.max(1, last - linesPerRead + 1), last);
    found.push(...select(lines.toReversed(), query));
  }
  return { records: found.slice(0, query.limit), nextAfter: count };
}

async function readAfter(
  stream: StreamFile,
  query: RecordQuery & { readonly after: number },
): Promise<RecordPage> {
  const end = lastMatching(stream.ends.length, query);
  const found: StoredRecord[] = [];
  for (
    let first = query.after + 1;
    first <= end && found.length < query.limit;
    first += linesPerRead
  ) {
    const lines = await readLines(stream, first, Math.min(first + linesPerRead - 1, end));
    found.push(...select(lines, query));
  }
  const records = found.slice(0, query.limit);
  return {
    records,
    nextAfter: found.length < query.limit ? end : (records.at(-1)?.seq ?? query.after),
  };
}

/** The number of the last line that the query may return. */
const lastMatching = (count: number, { before }: Pick<RecordQuery, 'before'>): number =>
  Math.min(before === undefined ? count : before - 1, count);

async function readLines(
  { file, ends }: StreamFile,
  first: number,
  last: number,
): Promise<string[]> {
  const start = ends[first - 2] ?? 0;
  const buffer = Buffer.alloc((ends[last - 1] ?? 0) - start);
  await file.read(buffer, 0, buffer.length, start);
  return buffer.toString('utf8').split('\n').slice(0, -1);
}

/** The offsets at which the complete lines of the file end. */
async function scanLineEnds(file: FileHandle): Promise<number[]> {
  const ends: number[] = [];
  const chunk = Buffer.alloc(1024 * 1024);
  let position = 0;
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return ends;
    const part = chunk.subarray(0, bytesRead);
    for (let at = part.indexOf(10); at >= 0; at = part.indexOf(10, at + 1))
      ends.push(position + at + 1);
    position += bytesRead;
  }
}

function lineOf(seq: number, id: string, receivedAt: string, record: Buffer): string {
  const head = `{"seq":${seq},"record_id":"${id}","received_at":"${receivedAt}"`;
  const document = asSingleLineObject(record);
  if (document !== undefined) return `${head},"document":${document}}\n`;
  return `${head},"data":"${record.toString('base64')}"}\n`;
}

/** The record's text unchanged, if it can be embedded in a line of JSON. */
function asSingleLineObject(record: Buffer): string | undefined {
  if (!isUtf8(record)) return undefined;
  const text = record.toString('utf8').trim();
  if (!text.startsWith('{') || text.includes('\n')) return undefined;
  try {
    JSON.parse(text);
    return text;
  } catch {
    return undefined;
  }
}

function select(lines: readonly string[], { text = '', lowestLevel }: RecordQuery): StoredRecord[] {
  const lowest = levels.indexOf(lowestLevel ?? '');
  const records = lines.filter(matcherOf(text)).map(parseLine);
  return lowest < 0 ? records : records.filter((record) => levelOf(record) >= lowest);
}

/** Matches the stored line against the text as typed and as JSON escapes it. */
function matcherOf(text: string): (line: string) => boolean {
  if (text === '') return () => true;
  const asTyped = text.toLowerCase();
  const asJson = JSON.stringify(asTyped).slice(1, -1);
  return (line) => {
    const lower = line.toLowerCase();
    return lower.includes(asTyped) || lower.includes(asJson);
  };
}

function levelOf({ document }: StoredRecord): number {
  return levels.indexOf(String(document?.['log.level']).toLowerCase());
}

function parseLine(line: string): StoredRecord {
  return JSON.parse(line) as StoredRecord;
}
