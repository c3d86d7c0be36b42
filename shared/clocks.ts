/** A server's clock beside that of this host. */
export interface ClockReading {
  readonly name: string;
  /** How many milliseconds it is ahead. */
  readonly aheadMs: number;
  /** It may be so many more or less: half of the time that the answer took. */
  readonly uncertaintyMs: number;
}

/** Claims and alerts go by PostgreSQL's clock, delayed jobs and access tokens by that of each host. */
const MAX_SKEW_MS = 2_000;

/** Asks a server for the time, in milliseconds since 1970. */
export async function readClock(name: string, ask: () => Promise<number>): Promise<ClockReading> {
  const before = Date.now();
  const theirs = await ask();
  const after = Date.now();
  return {
    name,
    aheadMs: Math.round(theirs - (before + after) / 2),
    uncertaintyMs: Math.ceil((after - before) / 2),
  };
}

/** True unless the clocks certainly differ by more than two seconds. */
export const isInStep = ({ aheadMs, uncertaintyMs }: ClockReading): boolean =>
  Math.abs(aheadMs) - uncertaintyMs <= MAX_SKEW_MS;
