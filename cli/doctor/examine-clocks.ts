import { processName } from '../../shared/alerts/findings.js';
import { isInStep, type ClockReading } from '../../shared/clocks.js';
import type { Database } from '../../shared/database/connect.js';
import { readProcesses } from '../../shared/presence/read-processes.js';
import type { DoctorFinding } from './checks.js';

/** The live processes whose clocks differ from PostgreSQL's, in words: as each has found by itself. */
export async function findSkewedProcesses(database: Database): Promise<string[]> {
  const { live } = await readProcesses(database);
  return live.flatMap((each) => {
    const clock = each.health['clock'];
    return clock && !clock.ok ? [`${processName(each)} is ${clock.problem ?? 'wrong'}`] : [];
  });
}

/** Whether the clocks agree; undefined when no server has told the time. */
export function examineClocks(
  readings: readonly (ClockReading | undefined)[],
  skewedProcesses: readonly string[],
): DoctorFinding[] {
  const known = readings.filter((reading) => reading !== undefined);
  if (known.length === 0) return [];
  const besideHost = `compared with this host: ${known.map(describe).join(', ')}`;
  const found = [besideHost, ...skewedProcesses].join('; ');
  if (known.every(isInStep) && skewedProcesses.length === 0)
    return [{ check: 'clocks', ok: true, found }];
  const advice = "Synchronize every host's clock with NTP. See the runbook: Clocks differ.";
  return [{ check: 'clocks', ok: false, found, advice }];
}

const describe = ({ name, aheadMs, uncertaintyMs }: ClockReading): string =>
  `${name} ${aheadMs < 0 ? '' : '+'}${aheadMs} ms (± ${uncertaintyMs})`;
