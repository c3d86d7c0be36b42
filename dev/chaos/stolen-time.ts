import { readFileSync } from 'node:fs';

const TICK_MS = 10;
const WINDOW_MS = 1_000;
/** More than this in a second, over all cores, and what was measured in it tells of the host. */
const TAKEN_MS = 200;

/** Knows in which seconds the host of a virtual machine took its processors away. */
export interface StolenTime {
  /** True if the machine was left alone in this second and in the one before, whose backlog it would bear. */
  wasOursAt(time: number): boolean;
  stop(): void;
}

/** Looks once a second, until stopped. Times are those of `performance.now()`. Where Linux does not tell, all time is ours. */
export function watchStolenTime(): StolenTime {
  const windows: { readonly startedAt: number; readonly takenMs: number }[] = [];
  let startedAt = performance.now();
  let taken = stolenMs();
  const look = (): void => {
    const [now, all] = [performance.now(), stolenMs()];
    windows.push({ startedAt, takenMs: all - taken });
    [startedAt, taken] = [now, all];
  };
  const timer = setInterval(look, WINDOW_MS);
  return {
    wasOursAt(time) {
      const next = windows.findIndex((window) => window.startedAt > time);
      const at = next === -1 ? windows.length : next;
      return windows.slice(Math.max(0, at - 2), at).every(({ takenMs }) => takenMs <= TAKEN_MS);
    },
    stop() {
      clearInterval(timer);
      look();
    },
  };
}

/** Since the start of the system, over all cores: the eighth figure of `cpu` in /proc/stat (proc(5), "steal"). */
function stolenMs(): number {
  try {
    const [all = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
    return Number(all.split(/\s+/)[8] ?? 0) * TICK_MS;
  } catch {
    return 0;
  }
}
