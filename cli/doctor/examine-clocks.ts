import type { DoctorFinding } from './checks.js';

/** A server's clock beside that of this host. */
export interface ClockReading {
  readonly name: string;
  /** How many milliseconds it is ahead. */
  readonly aheadMs: number;
  /** It may be so many more or less: half of the time that the answer took. */
  readonly uncertaintyMs: number;
}

/** Claims and alerts go by PostgreSQL's clock, delayed jobs by that of each host. */
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

/** Whether the clocks agree; undefined when no server has told the time. */
export function examineClocks(readings: readonly (ClockReading | undefined)[]): DoctorFinding[] {
  const known = readings.filter((reading) => reading !== undefined);
  if (known.length === 0) return [];
  const found = `beside this host: ${known.map(describe).join(', ')}`;
  const isOk = known.every(
    ({ aheadMs, uncertaintyMs }) => Math.abs(aheadMs) - uncertaintyMs <= MAX_SKEW_MS,
  );
  if (isOk) return [{ check: 'clocks', ok: true, found }];
  const advice = 'Let every host keep its clock by NTP. See the runbook: Clocks differ.';
  return [{ check: 'clocks', ok: false, found, advice }];
}

const describe = ({ name, aheadMs, uncertaintyMs }: ClockReading): string =>
  `${name} ${aheadMs < 0 ? '' : '+'}${aheadMs} ms (± ${uncertaintyMs})`;
