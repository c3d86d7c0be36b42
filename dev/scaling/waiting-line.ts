/** First in, first out; how long each waited is counted by the second. */
export interface WaitingLine {
  /** How many wait. */
  length: number;
  /** Those that came in the same second, oldest first, from `head` on. */
  readonly groups: { readonly cameAt: number; count: number }[];
  head: number;
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
  groups: [],
  head: 0,
  waits: new Float64Array(seconds + 1),
});

/** Adds whole numbers. */
export function join(line: WaitingLine, second: number, count: number): void {
  if (count <= 0) return;
  line.groups.push({ cameAt: second, count });
  line.length += count;
}

/** Serves so many, all of whom wait: the oldest first. */
export function serve(line: WaitingLine, second: number, count: number): void {
  let left = count;
  line.length -= count;
  for (let group = line.groups[line.head]; left > 0 && group; group = line.groups[line.head]) {
    const served = Math.min(left, group.count);
    countWaits(line.waits, second - group.cameAt, served);
    group.count -= served;
    left -= served;
    if (group.count === 0) line.head += 1;
  }
}

/** Seconds that the oldest has waited so far; 0 if none waits. */
export const oldestWait = (line: WaitingLine, second: number): number =>
  line.length === 0 ? 0 : second - (line.groups[line.head]?.cameAt ?? second);

/** How long all have waited; those that still wait at the end count with their wait so far. */
export function summarizeWaits(line: WaitingLine, end: number): Waits {
  const waits = line.waits.slice();
  for (let i = line.head; i < line.groups.length; i += 1) {
    const group = line.groups[i];
    if (group) countWaits(waits, end - group.cameAt, group.count);
  }
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

function countWaits(waits: Float64Array, wait: number, count: number): void {
  waits[wait] = (waits[wait] ?? 0) + count;
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
