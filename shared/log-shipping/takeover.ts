import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startRepeating, type Repeating } from '../lifecycle/repeat.js';
import type { Logger } from '../logging/logger.js';
import type { Backlog, Segment } from './backlog.js';
import { isMissing, type FolderKeeper, type SpoolFolder } from './spool-folders.js';
import { segmentSequence } from './segment-file.js';
import { isDead, parseFolderName, type FolderOwner } from './folder-owner.js';

export interface AdoptionDeps {
  readonly dir: string;
  readonly me: FolderOwner;
  readonly keeper: FolderKeeper;
  readonly backlog: Backlog;
  readonly onAdopted: () => void;
  readonly log: Logger;
  /** Does not ship: for troubles that come again with every look. */
  readonly localLog: Logger;
}

const LOOK_EVERY_MS = 30_000;

/**
 * Takes over what dead processes have left: now, and every 30 seconds until stopped. All of their segments are sealed
 * by that, and may be known to the queue already.
 */
export function startAdoption(deps: AdoptionDeps): Repeating {
  const look = async (signal: AbortSignal): Promise<number> => {
    const failures: unknown[] = [];
    const note = (error: unknown): [] => {
      failures.push(error);
      return [];
    };
    for (const name of await readdir(deps.dir).catch(note)) {
      // One that may not be touched must not keep the others.
      if (!signal.aborted) await adoptIfDead(deps, name).catch(note);
    }
    if (failures.length > 0) {
      deps.localLog.warn({ err: failures[0] }, 'spool takeover failed');
    }
    return LOOK_EVERY_MS;
  };
  return startRepeating(look, 0, { unref: true });
}

async function adoptIfDead(deps: AdoptionDeps, name: string): Promise<void> {
  const parsed = parseFolderName(name);
  if (!parsed) return;
  const silentMs = await silenceOf(join(deps.dir, name));
  if (silentMs === undefined || !isDead(parsed.owner, deps.me, silentMs)) return;
  const folder = await deps.keeper.takeOver(name, parsed.id);
  if (!folder) return;
  const segments = await listSegments(folder);
  if (segments.length === 0) return deps.keeper.remove(folder);
  deps.backlog.addOlder(segments);
  deps.log.info(
    { 'labels.spool': folder.id, 'labels.segments': segments.length },
    'spool taken over',
  );
  deps.onAdopted();
}

/** Milliseconds since the owner last showed itself; nothing if the folder is gone. */
async function silenceOf(path: string): Promise<number | undefined> {
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
    segments.push({
      folder,
      sequence,
      path,
      bytes: (await stat(path)).size,
      lines: undefined,
      generation: 0,
      timesAdded: 0,
      mayBeQueued: true,
      seenAtMs: 0,
    });
  }
  return segments;
}
