import { setTimeout as delay } from 'node:timers/promises';
import { watchStolenTime } from './stolen-time.js';

/** How long a phase's calls took. */
export interface Latencies {
  readonly calls: number;
  /** Without an answer: the process was just being started again. */
  readonly unanswered: number;
  /** Answered calls that are left out of the percentiles: the host had just taken the processors away. */
  readonly leftOut: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const CALL_TIMEOUT_MS = 10_000;

/**
 * Calls the URL at a fixed rate until the phase is over, however long the answers take, so that a slow one cannot hide
 * those that would have followed it (Gil Tene: coordinated omission).
 */
export async function measure(
  url: string,
  perSecond: number,
  phase: Promise<unknown>,
): Promise<Latencies> {
  const times: { readonly at: number; readonly tookMs: number }[] = [];
  let unanswered = 0;
  let isOver = false;
  const ended = phase.finally(() => (isOver = true));
  const call = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
      await answer.arrayBuffer();
      times.push({ at: startedAt, tookMs: performance.now() - startedAt });
    } catch {
      unanswered += 1;
    }
  };
  const stolen = watchStolenTime();
  const calls: Promise<void>[] = [];
  const startedAt = performance.now();
  while (!isOver) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * perSecond);
    while (calls.length < due) calls.push(call());
    await delay(5);
  }
  await Promise.all([...calls, ended]);
  stolen.stop();
  const ours = times.filter(({ at }) => stolen.wasOursAt(at)).map(({ tookMs }) => tookMs);
  const sorted = ours.toSorted((one, other) => one - other);
  const at = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? NaN;
  return {
    calls: calls.length,
    unanswered,
    leftOut: times.length - ours.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}
