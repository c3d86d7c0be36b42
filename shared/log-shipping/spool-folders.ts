import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  utimesSync,
} from 'node:fs';
import { randomUUID } from 'node:crypto';
import { access, rename, rmdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { folderName, noOwner, type FolderOwner } from './folder-owner.js';

/** A folder of the spool that this process holds. */
export interface SpoolFolder {
  readonly id: string;
  readonly path: string;
}

/** Holds this process's folders: the one that it writes to, and those that it has taken over. */
export interface FolderKeeper {
  /**
   * The folder to write to: a new one if there was none or it was taken away meanwhile.
   * @throws when it cannot be made.
   */
  current(): SpoolFolder;
  /** Takes a dead owner's folder over; resolves to nothing if another process was quicker. @throws if it may not. */
  takeOver(name: string, id: string): Promise<SpoolFolder | undefined>;
  /** Shows that the folder has an owner; gives it up if it is no longer there, or no longer this process's. */
  verify(folder: SpoolFolder): void;
  /** Removes a folder that was taken over and has nothing left. */
  remove(folder: SpoolFolder): Promise<void>;
  /** Gives everything back at once, before the process ends: what is empty goes, the rest is anybody's. */
  release(): void;
}

/** How a keeper is made. */
export interface FolderKeeperOptions {
  readonly dir: string;
  readonly me: FolderOwner;
  /** Called when a folder has been taken away: by another process that ships it, or for good. */
  readonly onLost: (folder: SpoolFolder, isTakenOver: boolean) => void;
}

const TOUCH_EVERY_MS = 2_000;
/** A process that stood still for so long asks whether it still holds its folder before it writes to it. */
const DOUBTFUL_AFTER_MS = 20_000;

/**
 * A folder's name tells its owner, and its time of change when the owner last showed itself. So that taking it over is
 * one rename, which one process wins, and the loser's paths lead nowhere. @throws when no folder can be made.
 */
export function openFolderKeeper({ dir, me, onLost }: FolderKeeperOptions): FolderKeeper {
  const held = new Set<SpoolFolder>();
  let own: SpoolFolder | undefined = makeFolder(dir, me);
  let shownAt = Date.now();
  held.add(own);

  const lose = (folder: SpoolFolder): void => {
    if (!held.delete(folder)) return;
    if (own === folder) own = undefined;
    onLost(folder, isKnown(dir, folder.id));
  };

  const verify = (folder: SpoolFolder): void => {
    try {
      utimesSync(folder.path, new Date(), new Date());
      if (folder === own) shownAt = Date.now();
    } catch (error) {
      // Any other trouble may pass; until then the folder only seems older than it is.
      if (isMissing(error)) lose(folder);
    }
  };
  const timer = setInterval(() => {
    for (const folder of held) verify(folder);
  }, TOUCH_EVERY_MS);
  timer.unref();

  return {
    current() {
      if (own && Math.abs(Date.now() - shownAt) > DOUBTFUL_AFTER_MS) verify(own);
      if (!own) {
        own = makeFolder(dir, me);
        held.add(own);
      }
      return own;
    },
    async takeOver(name, id) {
      const folder = { id, path: join(dir, folderName(id, me)) };
      if (!(await moveHere(join(dir, name), folder))) return undefined;
      held.add(folder);
      return folder;
    },
    verify,
    async remove(folder) {
      if (folder === own || !held.delete(folder)) return;
      await rmdir(folder.path);
    },
    release() {
      clearInterval(timer);
      for (const folder of held) giveBack(dir, folder);
      held.clear();
    },
  };
}

/** Whether an error means that a file or folder is not there. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** Whether the folder is still there, under whatever owner's name. */
function isKnown(dir: string, id: string): boolean {
  try {
    return readdirSync(dir).some((name) => name.startsWith(`${id}~`));
  } catch {
    // Then nothing is there at all.
    return false;
  }
}

/** Logs are personal data: noOwner else may look into the folder. */
function makeFolder(dir: string, me: FolderOwner): SpoolFolder {
  const id = randomUUID();
  const path = join(dir, folderName(id, me));
  mkdirSync(path, { recursive: true, mode: 0o700 });
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  return { id, path };
}

/** Resolves to false if it is not there any more. @throws if it may not. */
async function moveHere(from: string, folder: SpoolFolder): Promise<boolean> {
  try {
    await access(from, constants.R_OK | constants.W_OK | constants.X_OK);
    // First, so that it is not taken for another dead one as soon as it has its new name.
    await utimes(from, new Date(), new Date());
    await rename(from, folder.path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function giveBack(dir: string, folder: SpoolFolder): void {
  try {
    rmdirSync(folder.path);
  } catch {
    try {
      renameSync(folder.path, join(dir, folderName(folder.id, noOwner)));
    } catch {
      // Then it is taken over when its owner has been silent for long enough.
    }
  }
}
