import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** A record as it was kept, one line of the stream's file. `seq` counts from 1 within its stream. */
export interface KeptRecord {
  readonly seq: number;
  readonly record_id: string;
  readonly received_at: string;
  /** The record, if it is one JSON object on one line, as OpenSearch takes it. */
  readonly document?: Record<string, unknown>;
  /** Anything else, base64. */
  readonly data?: string;
}

/** Which records to read. Without `after`, the newest come first; with it, those that followed, oldest first. */
export interface RecordQuery {
  readonly after?: number | undefined;
  readonly before?: number | undefined;
  readonly limit: number;
  /** Keep only records that hold this text, in any case. */
  readonly text?: string | undefined;
  /** Keep only records of this `log.level` or a graver one. */
  readonly lowestLevel?: string | undefined;
}

/** Records that were found, and where to go on: the `after` that asks for what comes next. */
export interface RecordPage {
  readonly records: KeptRecord[];
  readonly nextAfter: number;
}

/** The records of one delivery stream, in `FOLDER/NAME.ndjson`. */
export interface StreamStore {
  readonly name: string;
  readonly count: number;
  /** Adds records, and resolves to their ids when they are in the file. Calls at once keep their order. */
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

/** Opens a stream's file, makes it if it is missing, and cuts off a last line that a crash left torn. */
export async function openStreamStore(folder: string, name: string): Promise<StreamStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Log lines name people: they are for this user alone.
  const file = await open(join(folder, name + suffix), 'a+', 0o600);
  // ends[i] is where line i+1 ends: enough to find any record without holding it in memory.
  const ends = await scanLineEnds(file);
  let size = ends.at(-1) ?? 0;
  await file.truncate(size);
  let lastAppend: Promise<unknown> = Promise.resolve();

  function append(records: readonly Buffer[]): Promise<string[]> {
    const done = lastAppend.then(() => write(records));
    // One that failed has told its own caller; the next still gets its turn.
    lastAppend = done.catch(() => undefined);
    return done;
  }

  async function write(records: readonly Buffer[]): Promise<string[]> {
    const receivedAt = new Date().toISOString();
    const ids = records.map(() => randomUUID());
    const lines = records.map((record, index) =>
      Buffer.from(lineOf(ends.length + index + 1, ids[index] ?? '', receivedAt, record)),
    );
    try {
      await file.appendFile(Buffer.concat(lines));
    } catch (error) {
      // A full disk may have taken half a line.
      await file.truncate(size);
      throw error;
    }
    for (const line of lines) {
      size += line.length;
      ends.push(size);
    }
    return ids;
  }

  async function readLines(first: number, last: number): Promise<string[]> {
    const start = ends[first - 2] ?? 0;
    const buffer = Buffer.alloc((ends[last - 1] ?? 0) - start);
    await file.read(buffer, 0, buffer.length, start);
    return buffer.toString('utf8').split('\n').slice(0, -1);
  }

  async function read(query: RecordQuery): Promise<RecordPage> {
    const count = ends.length;
    const end = Math.min(query.before === undefined ? count : query.before - 1, count);
    const found: KeptRecord[] = [];
    if (query.after === undefined) {
      for (let last = end; last >= 1 && found.length < query.limit; last -= linesPerRead) {
        const lines = await readLines(Math.max(1, last - linesPerRead + 1), last);
        found.push(...select(lines.toReversed(), query));
      }
      return { records: found.slice(0, query.limit), nextAfter: count };
    }
    for (
      let first = query.after + 1;
      first <= end && found.length < query.limit;
      first += linesPerRead
    ) {
      const lines = await readLines(first, Math.min(first + linesPerRead - 1, end));
      found.push(...select(lines, query));
    }
    const records = found.slice(0, query.limit);
    return {
      records,
      nextAfter: found.length < query.limit ? end : (records.at(-1)?.seq ?? query.after),
    };
  }

  return {
    name,
    get count() {
      return ends.length;
    },
    append,
    read,
    async close() {
      await lastAppend;
      await file.close();
    },
  };
}

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

/** The record's own text, byte for byte, if it may stand inside a line of JSON. */
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

function select(lines: readonly string[], { text = '', lowestLevel }: RecordQuery): KeptRecord[] {
  const lowest = levels.indexOf(lowestLevel ?? '');
  const records = lines.filter(matcherOf(text)).map(parseLine);
  return lowest < 0 ? records : records.filter((record) => levelOf(record) >= lowest);
}

/** Looks in the line as it is kept, for the text as typed and as JSON spells it. */
function matcherOf(text: string): (line: string) => boolean {
  if (text === '') return () => true;
  const asTyped = text.toLowerCase();
  const asJson = JSON.stringify(asTyped).slice(1, -1);
  return (line) => {
    const lower = line.toLowerCase();
    return lower.includes(asTyped) || lower.includes(asJson);
  };
}

function levelOf({ document }: KeptRecord): number {
  return levels.indexOf(String(document?.['log.level']).toLowerCase());
}

function parseLine(line: string): KeptRecord {
  return JSON.parse(line) as KeptRecord;
}
