import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { mayConcernOneRow } from './failures.js';

/** Runs one row's work, together with that of concurrent callers. */
export type Grouped<Row, Result> = (row: Row) => Promise<Result | undefined>;

interface Grouping<Row, Result> {
  readonly keyOf: (row: Row) => string;
  readonly run: (rows: readonly Row[]) => Promise<ReadonlyMap<string, Result>>;
  readonly pauseMs: () => number;
  readonly waiting: Waiting<Row, Result>[];
  /** Rows to be run by themselves. */
  readonly alone: Waiting<Row, Result>[];
  /** The keys of these rows, and of those that are being run by themselves. */
  readonly apart: Set<string>;
  /** Keys whose last row was refused by itself, or was locked: the next one would spoil the statement that it shares. */
  readonly suspects: Set<string>;
  runningAlone: number;
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
/** At most so many rows are run by themselves at once: they must not take all connections. */
const MAX_ALONE = 2;
const MAX_SUSPECTS = 1_000;

/**
 * Makes one statement of those that concurrent callers would send. A row waits for the end of this turn of the event loop,
 * or for the statement that is running: a caller alone is hardly delayed, and the more callers, the fewer statements each.
 * A caller's promise resolves when the statement with its row is committed, to its own row's result. When PostgreSQL refuses
 * a statement of several rows, each row is run by itself, so that one bad row does not fail the others, nor do later ones
 * wait for it. Any other failure, such as a lost connection, is every caller's, since the statement may have been committed.
 * @param keyOf rows with the same key are not run at the same time: the later one finds what the earlier one has changed.
 * @param run one statement or transaction over all rows; resolves to the results by key.
 * @param pauseMs how long to gather rows after a statement, while nobody waits for them yet; 0 by default.
 */
export function groupCommit<Row, Result>(
  keyOf: (row: Row) => string,
  run: (rows: readonly Row[]) => Promise<ReadonlyMap<string, Result>>,
  pauseMs: () => number = () => 0,
): Grouped<Row, Result> {
  const state: Grouping<Row, Result> = {
    ...{ keyOf, run, pauseMs, waiting: [], alone: [], runningAlone: 0, isRunning: false },
    ...{ apart: new Set<string>(), suspects: new Set<string>() },
  };
  return (row) =>
    new Promise((resolve, reject) => {
      state.waiting.push({ key: keyOf(row), row, resolve, reject });
      start(state);
    });
}

/** Starts the loop unless it runs. */
function start<Row, Result>(state: Grouping<Row, Result>): void {
  if (state.isRunning || state.waiting.length === 0) return;
  state.isRunning = true;
  void setImmediate().then(() => runWaiting(state));
}

async function runWaiting<Row, Result>(state: Grouping<Row, Result>): Promise<void> {
  for (let batch = takeBatch(state); batch.length > 0; batch = takeBatch(state)) {
    await runBatch(state, batch);
    // The callers whose replies have arrived meanwhile are part of the next statement.
    const ms = state.pauseMs();
    await (ms > 0 ? delay(ms) : setImmediate());
  }
  state.isRunning = false;
}

/** Takes the first row of each key, oldest first, except those that are run by themselves. */
function takeBatch<Row, Result>(state: Grouping<Row, Result>): Waiting<Row, Result>[] {
  const { waiting, apart, suspects } = state;
  const batch = new Map<string, Waiting<Row, Result>>();
  const others: Waiting<Row, Result>[] = [];
  for (const each of waiting.splice(0)) {
    if (apart.has(each.key) || batch.has(each.key)) others.push(each);
    else if (suspects.has(each.key)) setApart(state, each);
    else if (batch.size < MAX_ROWS) batch.set(each.key, each);
    else others.push(each);
  }
  waiting.push(...others);
  runApart(state);
  return [...batch.values()];
}

async function runBatch<Row, Result>(
  state: Grouping<Row, Result>,
  batch: readonly Waiting<Row, Result>[],
): Promise<void> {
  try {
    const results = await state.run(batch.map(({ row }) => row));
    for (const { key, resolve } of batch) {
      state.suspects.delete(key);
      resolve(results.get(key));
    }
  } catch (error) {
    const isOfOneRow = mayConcernOneRow(error);
    if (isOfOneRow && batch.length > 1) {
      for (const each of batch) setApart(state, each);
      runApart(state);
      return;
    }
    for (const { key, reject } of batch) {
      if (isOfOneRow) suspect(state, key);
      reject(error);
    }
  }
}

function setApart<Row, Result>(state: Grouping<Row, Result>, each: Waiting<Row, Result>): void {
  state.apart.add(each.key);
  state.alone.push(each);
}

/** Runs rows by themselves while the loop goes on with others: one may be locked for long. */
function runApart<Row, Result>(state: Grouping<Row, Result>): void {
  while (state.runningAlone < MAX_ALONE) {
    const next = state.alone.shift();
    if (!next) return;
    state.runningAlone += 1;
    void runBatch(state, [next]).then(() => {
      state.runningAlone -= 1;
      state.apart.delete(next.key);
      runApart(state);
      start(state);
    });
  }
}

/** Forgets the oldest of too many: not every refused row comes again. */
function suspect<Row, Result>({ suspects }: Grouping<Row, Result>, key: string): void {
  suspects.delete(key);
  suspects.add(key);
  for (const oldest of suspects) {
    if (suspects.size <= MAX_SUSPECTS) return;
    suspects.delete(oldest);
  }
}
