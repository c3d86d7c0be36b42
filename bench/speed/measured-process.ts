import { readFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { startCommand, type RunningProcess } from '../../dev/stack/processes/child-process.js';
import { cpuOf, onCpus, type CpuSet } from './cpus.js';

/** A process whose cost is measured. */
export interface MeasuredProcess extends RunningProcess {
  readonly cpus: CpuSet;
  /** User and system time of all its threads since its start, in milliseconds. */
  cpuMs(): number;
  /** Memory that it holds, in megabytes. */
  residentMb(): number;
  /** Throws away what it has written to stdout and stderr. */
  emptyLog(): Promise<void>;
}

/** A Node.js program and where it runs. */
export interface MeasuredProcessOptions {
  readonly name: string;
  /** Arguments of Node.js, the program first. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Gets stdout and stderr. */
  readonly logFile: string;
  readonly cpus: CpuSet;
}

/** Starts it, and resolves once it runs. It is killed when this process exits, however that happens. */
export async function startMeasuredProcess(
  options: MeasuredProcessOptions,
): Promise<MeasuredProcess> {
  const { name, args, env, logFile, cpus } = options;
  const running = await startCommand({
    name,
    ...onCpus(cpus, process.execPath, args),
    env,
    logFile,
  });
  return {
    ...running,
    cpus,
    cpuMs: () => cpuOf(running.pid),
    residentMb: () => (residentKib(running.pid) * 1_024) / 1e6,
    emptyLog: () => truncate(logFile).catch(() => undefined),
  };
}

function residentKib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
}
