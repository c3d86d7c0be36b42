import { setTimeout as delay } from 'node:timers/promises';

/** A sealed batch: complete lines, each ending in a newline, in the order in which they were written. */
export interface LogBatch {
  readonly lines: readonly string[];
  readonly bytes: number;
}

/** Gathers log lines into batches and hands them over one at a time. */
export interface LogBatcher {
  /** Takes a line; never blocks, never throws. */
  write(line: string): void;
  /** Hands over everything that is held: goes on offering it until the deadline. Further lines are still taken. */
  flush(deadlineMs: number): Promise<void>;
  /** Flushes and stops the timer. */
  close(deadlineMs: number): Promise<void>;
  /** Lines dropped since the start because nobody took them in time. */
  readonly droppedLines: number;
}

/** How a batcher is made. */
export interface LogBatcherOptions {
  /** Takes one batch; a rejection means "not now": the batch is offered again. */
  readonly handOver: (batch: LogBatch) => Promise<void>;
  /** Called at most once for each outage that cost lines, when hand-over works again. */
  readonly onDropped: (lines: number) => void;
}

const MAX_LINES = 500;
const MAX_BATCH_BYTES = 1_024 * 1_024;
const MAX_AGE_MS = 1_000;
const RETRY_AFTER_MS = 1_000;
/** Who flushes is in a hurry. */
const RETRY_FLUSH_AFTER_MS = 100;
/** What one process may hold in memory while nobody takes its lines. Past it the oldest batch is dropped, and counted. */
const MAX_HELD_BYTES = 32 * 1_024 * 1_024;
/** A longer line is cut: Firehose refuses a record over 1,000 KiB, and OpenSearch is no place for one. */
const MAX_LINE_BYTES = 256 * 1_024;
const MAX_TEXT_LENGTH = 1_024;

/**
 * Seals a batch at 500 lines, 1 MiB or one second after its first line, whichever comes first. Holds what cannot be
 * handed over, up to 32 MiB; lines past that are dropped, oldest first, and counted.
 */
export function createLogBatcher({ handOver, onDropped }: LogBatcherOptions): LogBatcher {
  const backlog = createBacklog();
  let open: string[] = [];
  let openBytes = 0;
  let droppedLines = 0;
  let untoldDrops = 0;
  let sealTimer: NodeJS.Timeout | undefined;
  let retryTimer: NodeJS.Timeout | undefined;
  let draining: Promise<void> | undefined;

  const seal = (): void => {
    clearTimeout(sealTimer);
    sealTimer = undefined;
    if (open.length === 0) return;
    const dropped = backlog.push({ lines: open, bytes: openBytes });
    droppedLines += dropped;
    untoldDrops += dropped;
    open = [];
    openBytes = 0;
  };

  const drain = (): Promise<void> => {
    clearTimeout(retryTimer);
    draining ??= drainBacklog().finally(() => {
      draining = undefined;
    });
    return draining;
  };

  const drainBacklog = async (): Promise<void> => {
    for (let batch = backlog.oldest(); batch; batch = backlog.oldest()) {
      try {
        await handOver(batch);
      } catch {
        // Whoever refuses has told why in the log; here it only means that the batch stays.
        retryTimer = setTimeout(() => void drain(), RETRY_AFTER_MS);
        return;
      }
      backlog.remove(batch);
    }
    if (untoldDrops > 0) onDropped(untoldDrops);
    untoldDrops = 0;
  };

  const sealAndDrain = (): void => {
    seal();
    void drain();
  };

  const flush = async (deadlineMs: number): Promise<void> => {
    const deadline = performance.now() + deadlineMs;
    seal();
    do {
      await before(deadline, drain());
      if (!backlog.oldest()) return;
      await before(deadline, delay(RETRY_FLUSH_AFTER_MS));
    } while (performance.now() < deadline);
  };

  return {
    write(line) {
      const fitting = Buffer.byteLength(line) > MAX_LINE_BYTES ? cut(line) : line;
      open.push(fitting);
      openBytes += Buffer.byteLength(fitting);
      sealTimer ??= setTimeout(sealAndDrain, MAX_AGE_MS);
      if (open.length >= MAX_LINES || openBytes >= MAX_BATCH_BYTES) sealAndDrain();
    },
    flush,
    async close(deadlineMs) {
      await flush(deadlineMs);
      clearTimeout(sealTimer);
      clearTimeout(retryTimer);
    },
    get droppedLines() {
      return droppedLines;
    },
  };
}

/** Sealed batches, oldest first, up to a number of bytes. */
function createBacklog() {
  const batches: LogBatch[] = [];
  let bytes = 0;

  const shift = (): number => {
    const batch = batches.shift();
    bytes -= batch?.bytes ?? 0;
    return batch?.lines.length ?? 0;
  };

  return {
    oldest: (): LogBatch | undefined => batches[0],
    /** Adds a batch; returns how many lines had to go for it. */
    push(batch: LogBatch): number {
      batches.push(batch);
      bytes += batch.bytes;
      let dropped = 0;
      while (bytes > MAX_HELD_BYTES) dropped += shift();
      return dropped;
    },
    /** Takes a batch out, unless it has been dropped meanwhile. */
    remove(batch: LogBatch): void {
      if (batches[0] === batch) shift();
    },
  };
}

/** Waits for the work, but no longer than until then. */
async function before(deadline: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const isOver = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadline - performance.now());
  });
  await Promise.race([work, isOver]);
  clearTimeout(timer);
}

/** Keeps the line one JSON object within the limit: long texts are shortened, what then does not fit goes. It says so. */
function cut(line: string): string {
  const record: Record<string, unknown> = { 'labels.cut': true };
  let bytes = Buffer.byteLength(`${JSON.stringify(record)}\n`);
  for (const [field, value] of fieldsOf(line)) {
    if (typeof value === 'object') continue;
    const kept = typeof value === 'string' ? shorten(value) : value;
    const added = Buffer.byteLength(`,${JSON.stringify(field)}:${JSON.stringify(kept)}`);
    if (bytes + added > MAX_LINE_BYTES) continue;
    record[field] = kept;
    bytes += added;
  }
  return `${JSON.stringify(record)}\n`;
}

/** What every line has comes first, what belongs to this one alone last. */
function fieldsOf(line: string): [string, unknown][] {
  try {
    const fields = Object.entries(JSON.parse(line) as Record<string, unknown>);
    return fields.toSorted(([one], [other]) => Number(isLabel(one)) - Number(isLabel(other)));
  } catch {
    return [['message', line.trimEnd()]];
  }
}

const isLabel = (field: string): boolean => field.startsWith('labels.');

/** Not in the middle of a character. */
const shorten = (text: string): string =>
  text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH).toWellFormed()}…` : text;
