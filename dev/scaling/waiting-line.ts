/** First in, first out; how long each waited is counted by the second. */
export interface WaitingLine {
  /** How many wait. */
  length: number;
  /** How many of those that came in each second still wait. */
  readonly since: Float64Array;
  /** The second in which the oldest came, if any waits. */
  oldest: number;
  /** How many have waited so many seconds. */
  readonly waits: Float64Array;
}

/** How long they waited: seconds that so large a share did not exceed, and the share that waited a minute at most. */
export interface Waits {
  /** How many came. */
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly longest: number;
  /** 0 to 1; 1 if there was none. */
  readonly withinMinute: number;
}

const MINUTE = 60;

/** An empty line, for times before `seconds`. */
export const createWaitingLine = (seconds: number): WaitingLine => ({
  length: 0,
  since: new Float64Array(seconds),
  oldest: 0,
  waits: new Float64Array(seconds + 1),
});

/** Adds whole numbers; the seconds never decrease. */
export function join(line: WaitingLine, second: number, count: number): void {
  if (line.length === 0) line.oldest = second;
  add(line.since, second, count);
  line.length += count;
}

/** Serves so many, all of whom wait: the oldest first. */
export function serve(line: WaitingLine, second: number, count: number): void {
  const { since, waits } = line;
  let left = count;
  line.length -= count;
  while (left > 0) {
    const served = Math.min(left, since[line.oldest] ?? 0);
    add(waits, second - line.oldest, served);
    add(since, line.oldest, -served);
    left -= served;
    if (left > 0) line.oldest += 1;
  }
  while (line.length > 0 && since[line.oldest] === 0) line.oldest += 1;
}

/** Seconds that the oldest has waited so far; 0 if none waits. */
export const oldestWait = (line: WaitingLine, second: number): number =>
  line.length === 0 ? 0 : second - line.oldest;

/** How long all have waited; those that still wait at the end count with their wait so far. */
export function summarizeWaits(line: WaitingLine, end: number): Waits {
  const waits = line.waits.slice();
  line.since.forEach((count, second) => add(waits, end - second, count));
  const all = total(waits);
  return {
    count: all,
    p50: waitOf(waits, all * 0.5),
    p95: waitOf(waits, all * 0.95),
    p99: waitOf(waits, all * 0.99),
    longest: waitOf(waits, all),
    withinMinute: all === 0 ? 1 : total(waits.subarray(0, MINUTE + 1)) / all,
  };
}

function add(counts: Float64Array, at: number, count: number): void {
  counts[at] = (counts[at] ?? 0) + count;
}

/** The wait of the one that has so many before it. */
function waitOf(waits: Float64Array, rank: number): number {
  let left = rank;
  for (let wait = 0; wait < waits.length; wait += 1) {
    left -= waits[wait] ?? 0;
    if (left <= 0) return wait;
  }
  return 0;
}

const total = (waits: Float64Array): number => waits.reduce((sum, count) => sum + count, 0);
