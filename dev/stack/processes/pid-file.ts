import { execFile } from 'node:child_process';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A process as a pid file names it. `born` tells it from a later process with the same number. */
export interface ProcessRecord {
  readonly pid: number;
  readonly born: string;
  readonly stopSignal: NodeJS.Signals;
}

/** Names a live process in `file`, replacing what the file said before. */
export async function writePidFile(
  file: string,
  pid: number,
  stopSignal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  const record: ProcessRecord = { pid, born: (await birthOf(pid)) ?? '', stopSignal };
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, JSON.stringify(record));
  await rename(draft, file);
}

/** The process that `file` names, if that very process still runs. */
export async function findLiveProcess(file: string): Promise<ProcessRecord | undefined> {
  const record = await readRecord(file);
  if (record === undefined || record.born === '') return undefined;
  return (await birthOf(record.pid)) === record.born ? record : undefined;
}

/**
 * Stops the process that an earlier, killed run left behind, and removes its pid file.
 * Asks first, and after `patienceMs` kills. Resolves to the pid that was stopped, if there was one.
 */
export async function stopLeftover(file: string, patienceMs = 10_000): Promise<number | undefined> {
  const leftover = await findLiveProcess(file);
  if (leftover !== undefined) {
    signal(leftover.pid, leftover.stopSignal);
    if (!(await isGoneWithin(file, patienceMs))) {
      signal(leftover.pid, 'SIGKILL');
      await isGoneWithin(file, patienceMs);
    }
  }
  await rm(file, { force: true });
  return leftover?.pid;
}

/**
 * Makes `file` name this process, unless it names another that lives. True if it does now.
 * Of several that try at once, one succeeds.
 */
export async function claimPidFile(file: string): Promise<boolean> {
  if (!(await createExclusively(file))) {
    if (await isHeld(file)) return false;
    await rm(file, { force: true });
    if (!(await createExclusively(file))) return false;
  }
  await writePidFile(file, process.pid);
  return true;
}

/** Gives back what `claimPidFile` claimed. */
export async function releasePidFile(file: string): Promise<void> {
  await rm(file, { force: true });
}

async function createExclusively(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    await handle.close();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** A file that is empty has just been made by somebody who is about to put a name in it. */
async function isHeld(file: string): Promise<boolean> {
  if ((await findLiveProcess(file)) !== undefined) return true;
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && found.size === 0 && Date.now() - found.mtimeMs < 2_000;
}

async function isGoneWithin(file: string, patienceMs: number): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  while (Date.now() < deadline) {
    if ((await findLiveProcess(file)) === undefined) return true;
    await delay(50);
  }
  return false;
}

async function readRecord(file: string): Promise<ProcessRecord | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isProcessRecord(parsed) ? parsed : undefined;
  } catch {
    // No file, or one torn by a crash: either way it names nobody.
    return undefined;
  }
}

function isProcessRecord(value: unknown): value is ProcessRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    Number.isInteger(value.pid) &&
    'born' in value &&
    typeof value.born === 'string' &&
    'stopSignal' in value &&
    typeof value.stopSignal === 'string'
  );
}

/** When a process began, as an opaque text that no later process of the same number shares. */
async function birthOf(pid: number): Promise<string | undefined> {
  return process.platform === 'linux' ? birthOnLinux(pid) : birthByPs(pid);
}

async function birthOnLinux(pid: number): Promise<string | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The program's name stands in brackets and may hold spaces: count fields after it (proc(5): 3 = state, 22 = start time).
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return undefined;
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${bootId.trim()}/${fields[19] ?? ''}`;
  } catch {
    return undefined;
  }
}

async function birthByPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)]);
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
