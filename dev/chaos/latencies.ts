import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Response times of one phase. */
export interface Latencies {
  readonly calls: number;
  /** Calls without an answer: the process was being restarted. */
  readonly unanswered: number;
  /** Answered calls that are left out of the percentiles, because the hypervisor was taking CPU time (steal time). */
  readonly leftOut: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const CALL_TIMEOUT_MS = 10_000;
const TICK_MS = 10;
const STEAL_WINDOW_MS = 1_000;
/** With more steal time than this in a second, over all cores, a measurement shows the host and not the service. */
const MAX_STEAL_MS = 200;

/**
 * Calls the URL at a fixed rate until the phase is over, however long the answers take, so that slow answers do not delay
 * and thereby hide later ones (Gil Tene: coordinated omission).
 */
export async function measureLatencies(
  url: string,
  perSecond: number,
  phase: Promise<unknown>,
): Promise<Latencies> {
  const answered: { readonly at: number; readonly tookMs: number }[] = [];
  let unanswered = 0;
  let isOver = false;
  const ended = phase.finally(() => (isOver = true));
  const call = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
      await answer.arrayBuffer();
      answered.push({ at: startedAt, tookMs: performance.now() - startedAt });
    } catch {
      unanswered += 1;
    }
  };
  const stealTime = watchStealTime();
  const calls: Promise<void>[] = [];
  const startedAt = performance.now();
  while (!isOver) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * perSecond);
    while (calls.length < due) calls.push(call());
    await delay(5);
  }
  await Promise.all([...calls, ended]);
  stealTime.stop();
  const valid = answered.filter(({ at }) => stealTime.isLowAt(at)).map(({ tookMs }) => tookMs);
  const sorted = valid.toSorted((one, other) => one - other);
  const percentile = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? NaN;
  return {
    calls: calls.length,
    unanswered,
    leftOut: answered.length - valid.length,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
  };
}

/** Steal time of this virtual machine, sampled once a second. Times are those of `performance.now()`. */
interface StealTime {
  /** True if steal time was low in this second and in the one before, whose backlog would delay it. */
  isLowAt(time: number): boolean;
  stop(): void;
}

function watchStealTime(): StealTime {
  const windows: { readonly startedAt: number; readonly stealMs: number }[] = [];
  let startedAt = performance.now();
  let total = totalStealMs();
  const sample = (): void => {
    const [now, nextTotal] = [performance.now(), totalStealMs()];
    windows.push({ startedAt, stealMs: nextTotal - total });
    [startedAt, total] = [now, nextTotal];
  };
  const timer = setInterval(sample, STEAL_WINDOW_MS);
  return {
    isLowAt(time) {
      const next = windows.findIndex((window) => window.startedAt > time);
      const at = next === -1 ? windows.length : next;
      return windows.slice(Math.max(0, at - 2), at).every(({ stealMs }) => stealMs <= MAX_STEAL_MS);
    },
    stop() {
      clearInterval(timer);
      sample();
    },
  };
}

/**
 * Steal time since boot, over all cores: the eighth figure of `cpu` in /proc/stat (proc(5), "steal"). 0 where there is no
 * such file.
 */
function totalStealMs(): number {
  try {
    const [all = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
    return Number(all.split(/\s+/)[8] ?? 0) * TICK_MS;
  } catch {
    return 0;
  }
}
