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
  let open: string[] = [];
  let openBytes = 0;
  let sealTimer: NodeJS.Timeout | undefined;
  const sealed: LogBatch[] = [];
  let heldBytes = 0;
  let dropped = 0;
  let untoldDrops = 0;
  let draining: Promise<void> | undefined;
  let retryTimer: NodeJS.Timeout | undefined;

  const seal = (): void => {
    clearTimeout(sealTimer);
    sealTimer = undefined;
    if (open.length === 0) return;
    sealed.push({ lines: open, bytes: openBytes });
    heldBytes += openBytes;
    open = [];
    openBytes = 0;
    while (heldBytes > MAX_HELD_BYTES) dropOldest();
  };

  const dropOldest = (): void => {
    const oldest = sealed.shift();
    if (!oldest) return;
    heldBytes -= oldest.bytes;
    dropped += oldest.lines.length;
    untoldDrops += oldest.lines.length;
  };

  const drain = (): Promise<void> => {
    draining ??= drainSealed().finally(() => {
      draining = undefined;
    });
    return draining;
  };

  const drainSealed = async (): Promise<void> => {
    clearTimeout(retryTimer);
    for (let batch = sealed[0]; batch; batch = sealed[0]) {
      try {
        await handOver(batch);
      } catch {
        // The queue's client has logged its outage; here it only means that the batch stays.
        retryTimer = setTimeout(() => void drain(), RETRY_AFTER_MS);
        return;
      }
      if (sealed[0] === batch) {
        sealed.shift();
        heldBytes -= batch.bytes;
      }
    }
    if (untoldDrops > 0) {
      const lines = untoldDrops;
      untoldDrops = 0;
      onDropped(lines);
    }
  };

  const flush = async (deadlineMs: number): Promise<void> => {
    seal();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([drain(), deadline]);
    clearTimeout(timer);
  };

  return {
    write(line) {
      const fitting = Buffer.byteLength(line) > MAX_LINE_BYTES ? cut(line) : line;
      open.push(fitting);
      openBytes += Buffer.byteLength(fitting);
      sealTimer ??= setTimeout(() => {
        seal();
        void drain();
      }, MAX_AGE_MS);
      if (open.length >= MAX_LINES || openBytes >= MAX_BATCH_BYTES) {
        seal();
        void drain();
      }
    },
    flush,
    async close(deadlineMs) {
      await flush(deadlineMs);
      clearTimeout(sealTimer);
      clearTimeout(retryTimer);
    },
    get droppedLines() {
      return dropped;
    },
  };
}

/** Keeps the line valid JSON: its longest text is shortened, and the line says so. */
function cut(line: string): string {
  const record = JSON.parse(line) as Record<string, unknown>;
  for (const [field, value] of Object.entries(record)) {
    if (typeof value === 'string' && value.length > 1_024) record[field] = `${value.slice(0, 1_024)}…`;
    else if (typeof value === 'object' && value !== null) delete record[field];
  }
  return `${JSON.stringify({ ...record, 'labels.cut': true })}\n`;
}
