/** A sealed batch: complete lines, each ending in a newline, in the order in which they were written. */
export interface LogBatch {
  readonly lines: readonly string[];
  readonly bytes: number;
}

/** Gathers log lines into batches and hands them over one at a time. */
export interface LogBatcher {
  /** Takes a line; never blocks, never throws. */
  write(line: string): void;
  /** Hands over everything that is held, or gives up at the deadline. Further lines are still taken. */
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
/** What one process may hold in memory while nobody takes its lines. Past it the oldest batch is dropped, and counted. */
const MAX_HELD_BYTES = 32 * 1_024 * 1_024;
/** A longer line is cut: Firehose refuses a record over 1,000 KiB, and OpenSearch is no place for one. */
const MAX_LINE_BYTES = 256 * 1_024;

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
    draining ??= drainBacklog().finally(() => {
      draining = undefined;
    });
    return draining;
  };

  const drainBacklog = async (): Promise<void> => {
    clearTimeout(retryTimer);
    for (let batch = backlog.oldest(); batch; batch = backlog.oldest()) {
      try {
        await handOver(batch);
      } catch {
        // The queue's client has logged its outage; here it only means that the batch stays.
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
    seal();
    await before(deadlineMs, drain());
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

/** Waits for the work, but no longer than so many milliseconds. */
async function before(deadlineMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs);
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}

/** Keeps the line valid JSON: its longest text is shortened, and the line says so. */
function cut(line: string): string {
  const record = JSON.parse(line) as Record<string, unknown>;
  for (const [field, value] of Object.entries(record)) {
    if (typeof value === 'string' && value.length > 1_024)
      record[field] = `${value.slice(0, 1_024)}…`;
    else if (typeof value === 'object' && value !== null) delete record[field];
  }
  return `${JSON.stringify({ ...record, 'labels.cut': true })}\n`;
}
