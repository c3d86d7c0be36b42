import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { mayConcernOneRow } from './failures.js';

/** Runs one row's work, together with that of concurrent callers. */
export type Grouped<Row, Result> = (row: Row) => Promise<Result | undefined>;

interface Grouping<Row, Result> {
  readonly keyOf: (row: Row) => string;
  readonly run: (rows: readonly Row[]) => Promise<ReadonlyMap<string, Result>>;
  readonly pauseMs: () => number;
  readonly waiting: Waiting<Row, Result>[];
  /** Whether rows are being run, or will be at the end of this turn of the event loop. */
  isRunning: boolean;
}

interface Waiting<Row, Result> {
  readonly key: string;
  readonly row: Row;
  readonly resolve: (result: Result | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** At most so many rows in one statement. */
const MAX_ROWS = 50;

/**
 * Makes one statement of those that concurrent callers would send. A row waits for the end of this turn of the event loop,
 * or for the statement that is running: a caller alone is hardly delayed, and the more callers, the fewer statements each.
 * A caller's promise resolves when the statement with its row is committed, to its own row's result. When PostgreSQL refuses
 * a statement of several rows, each row is run by itself, so that one bad row does not fail the others. Any other failure,
 * such as a lost connection, is every caller's, since the statement may have been committed.
 * @param keyOf rows with the same key are not run together: the later one finds what the earlier one has changed.
 * @param run one statement or transaction over all rows; resolves to the results by key.
 * @param pauseMs how long to gather rows after a statement, while nobody waits for them yet; 0 by default.
 */
export function groupCommit<Row, Result>(
  keyOf: (row: Row) => string,
  run: (rows: readonly Row[]) => Promise<ReadonlyMap<string, Result>>,
  pauseMs: () => number = () => 0,
): Grouped<Row, Result> {
  const state: Grouping<Row, Result> = { keyOf, run, pauseMs, waiting: [], isRunning: false };
  return (row) =>
    new Promise((resolve, reject) => {
      state.waiting.push({ key: keyOf(row), row, resolve, reject });
      if (state.isRunning) return;
      state.isRunning = true;
      void setImmediate().then(() => runWaiting(state));
    });
}

async function runWaiting<Row, Result>(state: Grouping<Row, Result>): Promise<void> {
  while (state.waiting.length > 0) {
    await runBatch(state, takeBatch(state.waiting));
    // The callers whose replies have arrived meanwhile are part of the next statement.
    const ms = state.pauseMs();
    await (ms > 0 ? delay(ms) : setImmediate());
  }
  state.isRunning = false;
}

/** Takes the first row of each key, oldest first. */
function takeBatch<Row, Result>(waiting: Waiting<Row, Result>[]): Waiting<Row, Result>[] {
  const batch = new Map<string, Waiting<Row, Result>>();
  const others: Waiting<Row, Result>[] = [];
  for (const each of waiting) {
    if (batch.size < MAX_ROWS && !batch.has(each.key)) batch.set(each.key, each);
    else others.push(each);
  }
  waiting.splice(0, waiting.length, ...others);
  return [...batch.values()];
}

async function runBatch<Row, Result>(
  state: Grouping<Row, Result>,
  batch: readonly Waiting<Row, Result>[],
): Promise<void> {
  try {
    const results = await state.run(batch.map(({ row }) => row));
    for (const { key, resolve } of batch) resolve(results.get(key));
  } catch (error) {
    if (batch.length > 1 && mayConcernOneRow(error))
      await Promise.all(batch.map((each) => runBatch(state, [each])));
    else for (const { reject } of batch) reject(error);
  }
}
