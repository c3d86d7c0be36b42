import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Where a process runs: on the measured core, on the other one, or on both. */
export type CpuSet = 'measured' | 'other' | 'both';

const LISTS: Readonly<Record<CpuSet, string>> = { measured: '0', other: '1', both: '0,1' };
/** USER_HZ, which is 100 on every architecture that Node.js runs on (`man 5 proc`). */
const MS_PER_TICK = 10;

/** True if processes can be pinned: Linux with `taskset` and two cores. */
export const canPin = (): boolean => isPinning;

const isPinning =
  availableParallelism() >= 2 &&
  spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0;

/** Moves this process, and with it whatever it starts, off the measured core. */
export function leaveMeasuredCpu(): void {
  if (isPinning)
    execFileSync('taskset', ['-acp', LISTS.other, String(process.pid)], { stdio: 'ignore' });
}

/** The command that runs a program on some CPUs. */
export function onCpus(
  cpus: CpuSet,
  program: string,
  args: readonly string[],
): { command: string; args: string[] } {
  if (!isPinning) return { command: program, args: [...args] };
  return { command: 'taskset', args: ['-c', LISTS[cpus], program, ...args] };
}

/** The directories of control groups, and the files that hold a group to a part of a core (`man 7 cgroups`). */
const GROUPS: readonly { readonly dir: string; limit(share: number): Record<string, string> }[] = [
  {
    dir: '/sys/fs/cgroup/cpu',
    limit: (share) => ({
      'cpu.cfs_period_us': String(PERIOD_US),
      'cpu.cfs_quota_us': String(share * PERIOD_US),
    }),
  },
  { dir: '/sys/fs/cgroup', limit: (share) => ({ 'cpu.max': `${share * PERIOD_US} ${PERIOD_US}` }) },
];
/** Short, so that a process that has used up its part does not pause for long. */
const PERIOD_US = 10_000;

/**
 * Holds a process to a part of a core, 0 to 1, by a control group of its own.
 * @returns removes the group once the process has ended; undefined where this process may not make groups.
 */
export function holdToShare(pid: number, share: number): (() => void) | undefined {
  for (const { dir, limit } of GROUPS) {
    const group = join(dir, `rollcall-bench-${pid}`);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    try {
      // The kernel has made the files: where it has not, this is a plain directory.
      for (const [file, value] of Object.entries({ ...limit(share), 'cgroup.procs': String(pid) }))
        writeFileSync(join(group, file), value, { flag: 'r+' });
      return () => rmdirSync(group);
    } catch {
      // A group without this controller.
      rmdirSync(group);
    }
  }
  return undefined;
}

/** Time that the measured core has been busy, in milliseconds (`man 5 proc`: the first three and the next fields of `cpu0`). */
export function measuredCpuBusyMs(): number {
  const line = /^cpu0 (.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').map(Number);
  return (user + nice + system + irq + softirq) * MS_PER_TICK;
}

/** User and system time of a process since its start, in milliseconds (`man 5 proc`: fields 14 and 15 of `stat`). */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses, which may contain spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}
