import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { SPOOL_NEARLY_FULL } from '../../shared/alerts/red-states.js';
import type { loadQueueToolConfig } from '../../shared/config/config.js';
import { messageOf } from '../../shared/errors/message-of.js';
import { mib, type DoctorFinding } from './checks.js';

type Config = ReturnType<typeof loadQueueToolConfig>;

/** Writes a file to the spool of this host, and looks how full it is. */
export async function examineSpool({
  dir,
  maxBytes,
}: NonNullable<Config['spool']>): Promise<DoctorFinding> {
  const check = 'log spool';
  try {
    const bytes = await fullestFolder(dir);
    const found = `${dir}: the fullest process's folder holds ${mib(bytes)} of ${mib(maxBytes)} MiB`;
    if (bytes <= SPOOL_NEARLY_FULL * maxBytes) return { check, ok: true, found };
    const advice =
      'Beyond that the oldest lines are dropped. See the runbook: Logs do not reach Firehose.';
    return { check, ok: false, found, advice };
  } catch (error) {
    const advice =
      'Give the process write access, or set SPOOL_DIR to another folder: log lines are spooled there.';
    return { check, ok: false, found: messageOf(error), advice };
  }
}

/** Bytes in the fullest process's folder; 0 when there is none yet. @throws when the spool cannot be written to. */
async function fullestFolder(dir: string): Promise<number> {
  try {
    await writeAndRemove(join(dir, `.doctor-${process.pid}`));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
  const bytes = new Map<string, number>();
  for (const name of await readdir(dir, { recursive: true })) {
    // A segment that was shipped meanwhile is gone.
    const file = await stat(join(dir, name)).catch(() => undefined);
    const [folder = ''] = name.split(sep);
    if (file?.isFile()) bytes.set(folder, (bytes.get(folder) ?? 0) + file.size);
  }
  return Math.max(0, ...bytes.values());
}

/** No process takes a file for a folder of the spool. */
async function writeAndRemove(path: string): Promise<void> {
  try {
    await writeFile(path, 'doctor\n', { mode: 0o600, flush: true });
  } finally {
    await rm(path, { force: true });
  }
}
