import { execFile } from 'node:child_process';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as z from 'zod';

const run = promisify(execFile);

const ProcessRecord = z.object({
  pid: z.int(),
  /** When the process started, as an opaque text: tells it from a later process with the same pid. */
  born: z.string(),
  stopSignal: z.custom<NodeJS.Signals>((name) => String(name) in constants.signals),
});

/** The content of a pid file. */
export type ProcessRecord = z.output<typeof ProcessRecord>;

/** Records a live process in `file`, atomically. */
export async function writePidFile(
  file: string,
  pid: number,
  stopSignal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  const record: ProcessRecord = { pid, born: (await startTimeOf(pid)) ?? '', stopSignal };
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, JSON.stringify(record));
  await rename(draft, file);
}

/** The process that `file` records, if that very process still runs. */
export async function findLiveProcess(file: string): Promise<ProcessRecord | undefined> {
  const record = await readRecord(file);
  if (record === undefined || record.born === '') return undefined;
  return (await startTimeOf(record.pid)) === record.born ? record : undefined;
}

/**
 * Stops a process whose parent was killed, and removes its pid file. Sends its stop signal, and SIGKILL after
 * `timeoutMs`. Resolves to the pid of the stopped process, if there was one.
 */
export async function stopOrphan(file: string, timeoutMs = 10_000): Promise<number | undefined> {
  const orphan = await findLiveProcess(file);
  if (orphan !== undefined) {
    signal(orphan.pid, orphan.stopSignal);
    if (!(await hasExitedWithin(file, timeoutMs))) {
      signal(orphan.pid, 'SIGKILL');
      await hasExitedWithin(file, timeoutMs);
    }
  }
  await rm(file, { force: true });
  return orphan?.pid;
}

/**
 * Locks `file` for this process, unless another live process holds it. True if this process holds it now. Of several
 * concurrent callers one succeeds.
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

/** Releases a lock that `claimPidFile` took. */
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

/** An empty file was created a moment ago by a process that is about to write its record. */
async function isHeld(file: string): Promise<boolean> {
  if ((await findLiveProcess(file)) !== undefined) return true;
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && found.size === 0 && Date.now() - found.mtimeMs < 2_000;
}

async function hasExitedWithin(file: string, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if ((await findLiveProcess(file)) === undefined) return true;
    await delay(50);
  }
  return false;
}

/** Undefined if there is no file, or a crash has left a torn one. */
async function readRecord(file: string): Promise<ProcessRecord | undefined> {
  try {
    return ProcessRecord.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

function startTimeOf(pid: number): Promise<string | undefined> {
  return process.platform === 'linux' ? startTimeFromProc(pid) : startTimeFromPs(pid);
}

async function startTimeFromProc(pid: number): Promise<string | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The program's name is in parentheses and may contain spaces: fields are counted after it (proc(5): 3 = state,
    // 22 = start time).
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return undefined;
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${bootId.trim()}/${fields[19] ?? ''}`;
  } catch {
    return undefined;
  }
}

async function startTimeFromPs(pid: number): Promise<string | undefined> {
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
