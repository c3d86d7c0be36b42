import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startRepeating, type Repeating } from '../lifecycle/repeat.js';
import type { Logger } from '../logging/logger.js';
import { addOlderSegments, createSegment, type Backlog, type Segment } from './backlog.js';
import { isOwnerDead, parseFolderName, type FolderOwner } from './folder-owner.js';
import { segmentSequence } from './segment-file.js';
import { isMissing, type SpoolFolder, type SpoolFolders } from './spool-folders.js';

export interface TakeoverDeps {
  readonly dir: string;
  readonly owner: FolderOwner;
  readonly folders: SpoolFolders;
  readonly backlog: Backlog;
  readonly onTakenOver: () => void;
  readonly log: Logger;
  /** Does not ship: takes errors that recur with every scan. */
  readonly localLog: Logger;
}

const SCAN_EVERY_MS = 30_000;

/**
 * Takes over the folders of dead processes: now, and every 30 seconds until stopped. A takeover seals all segments of a
 * folder; the queue may already know some of them.
 */
export function startTakeover(deps: TakeoverDeps): Repeating {
  const scan = async (signal: AbortSignal): Promise<number> => {
    await takeOverAll(deps, signal);
    return SCAN_EVERY_MS;
  };
  return startRepeating(scan, 0, { unref: true });
}

async function takeOverAll(deps: TakeoverDeps, signal: AbortSignal): Promise<void> {
  const failures: unknown[] = [];
  const keepFailure = (error: unknown): [] => {
    failures.push(error);
    return [];
  };
  for (const name of await readdir(deps.dir).catch(keepFailure)) {
    // One folder without permission must not keep the others from being taken over.
    if (!signal.aborted) await takeOverIfDead(deps, name).catch(keepFailure);
  }
  if (failures.length > 0) deps.localLog.warn({ err: failures[0] }, 'spool takeover failed');
}

async function takeOverIfDead(deps: TakeoverDeps, name: string): Promise<void> {
  const parsed = parseFolderName(name);
  if (!parsed) return;
  const heartbeatAgeMs = await readHeartbeatAge(join(deps.dir, name));
  if (heartbeatAgeMs === undefined || !isOwnerDead(parsed.owner, deps.owner, heartbeatAgeMs))
    return;
  const folder = await deps.folders.takeOver(name, parsed.id);
  if (!folder) return;
  const segments = await listSegments(folder).catch(async (error: unknown) => {
    // For a later scan, of whichever process.
    await deps.folders.giveBack(folder);
    throw error;
  });
  if (segments.length === 0) return deps.folders.remove(folder);
  addOlderSegments(deps.backlog, segments);
  deps.log.info(
    { 'labels.spool': folder.id, 'labels.segments': segments.length },
    'spool taken over',
  );
  deps.onTakenOver();
}

/** Milliseconds since the owner's last heartbeat; undefined if the folder is gone. */
async function readHeartbeatAge(path: string): Promise<number | undefined> {
  try {
    return Date.now() - (await stat(path)).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function listSegments(folder: SpoolFolder): Promise<Segment[]> {
  const segments: Segment[] = [];
  for (const fileName of (await readdir(folder.path)).toSorted()) {
    const sequence = segmentSequence(fileName);
    if (sequence === undefined) continue;
    const path = join(folder.path, fileName);
    const { size: bytes, mtimeMs: writtenAt } = await stat(path);
    segments.push(
      createSegment({
        folder,
        sequence,
        path,
        writtenAt,
        bytes,
        lines: undefined,
        mayBeQueued: true,
      }),
    );
  }
  return segments;
}
