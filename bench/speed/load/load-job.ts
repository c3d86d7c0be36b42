import type { Histogram } from './histogram.js';

/** Requests to send to one server on loopback. */
export interface LoadJob {
  readonly port: number;
  /** Each has one request in flight at most. */
  readonly connections: number;
  readonly durationMs: number;
  /** Complete requests, sent in turn. In each, the first run of {@link COUNTER} is replaced by a number that grows. */
  readonly requests: readonly Uint8Array[];
  /** The status that every response must have, or any of these. */
  readonly expected: readonly number[];
  /** Only these count in the latencies; all by default. */
  readonly timed?: readonly number[];
  /** The first number to put in for {@link COUNTER}. */
  readonly firstCount?: number;
  /** How long a connection waits between a response and its next request. */
  readonly pauseMs?: number;
  /** Sends at this rate, evenly, however long responses take; latencies then count from when a request was due. */
  readonly perSecond?: number;
  /** Also when each request with a number was answered. */
  readonly isTraced?: boolean;
}

/** What came of it. */
export interface LoadResult {
  readonly seconds: number;
  /** Responses by status. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly latencies: Histogram;
  /** The number of each request, and when its response had come: see {@link monotonicMs}. */
  readonly answers: readonly Answer[];
}

export interface Answer {
  readonly count: number;
  readonly atMs: number;
}

/** Milliseconds of the system's monotonic clock, which is the same in all processes. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Stands for a number in a request. */
export const COUNTER = '##########';
