import { randomUUID } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  utimesSync,
} from 'node:fs';
import { access, rename, rmdir, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { folderName, noOwner, type FolderOwner } from './folder-owner.js';

/** A folder of the spool that this process owns. */
export interface SpoolFolder {
  readonly id: string;
  readonly path: string;
}

/** The folders that this process owns: the one that it writes to, and those that it has taken over. */
export interface SpoolFolders {
  /**
   * The folder to write to: a new one if there is none yet or the last one was lost.
   * @throws when it cannot be created.
   */
  current(): SpoolFolder;
  /** Takes over a dead owner's folder. Resolves to undefined if another process was faster. @throws without permission. */
  takeOver(name: string, id: string): Promise<SpoolFolder | undefined>;
  /** Lets any process take over a folder that this one has taken over and cannot read. */
  giveBack(folder: SpoolFolder): Promise<void>;
  /** Sends a heartbeat for the folder. If it is gone, or has another owner, it is lost. */
  touch(folder: SpoolFolder): void;
  /** Removes an empty folder that was taken over. */
  remove(folder: SpoolFolder): Promise<void>;
  /** Releases all folders synchronously: empty ones are removed, any process may take over the others. */
  release(): void;
}

export interface SpoolFoldersOptions {
  readonly dir: string;
  readonly owner: FolderOwner;
  /** Called when a folder is lost: taken over by another process, or deleted. */
  readonly onLost: (folder: SpoolFolder, isTakenOver: boolean) => void;
}

interface FoldersState extends SpoolFoldersOptions {
  readonly owned: Set<SpoolFolder>;
  current: SpoolFolder | undefined;
  lastTouchMs: number;
}

const HEARTBEAT_EVERY_MS = 2_000;
/** After a pause of the process of this length it checks that it still owns its folder before it writes to it. */
const CHECK_AFTER_PAUSE_MS = 20_000;

/**
 * A folder's name contains its owner, and its modification time is the owner's last heartbeat. A takeover is therefore
 * one rename, in which exactly one process succeeds; the paths of all others no longer exist.
 * @throws when the first folder cannot be created.
 */
export function openSpoolFolders(options: SpoolFoldersOptions): SpoolFolders {
  const folder = makeFolder(options);
  const state: FoldersState = {
    ...options,
    owned: new Set([folder]),
    current: folder,
    lastTouchMs: Date.now(),
  };
  const heartbeat = setInterval(() => {
    for (const owned of state.owned) touch(state, owned);
  }, HEARTBEAT_EVERY_MS);
  heartbeat.unref();
  return {
    current: () => currentFolder(state),
    takeOver: (name, id) => takeOver(state, name, id),
    giveBack: (owned) => giveBack(state, owned),
    touch: (owned) => touch(state, owned),
    remove: (owned) => remove(state, owned),
    release() {
      clearInterval(heartbeat);
      for (const owned of state.owned) release(state, owned);
      state.owned.clear();
    },
  };
}

function currentFolder(state: FoldersState): SpoolFolder {
  const { current } = state;
  if (current && Math.abs(Date.now() - state.lastTouchMs) > CHECK_AFTER_PAUSE_MS)
    touch(state, current);
  if (!state.current) {
    state.current = makeFolder(state);
    state.owned.add(state.current);
  }
  return state.current;
}

function touch(state: FoldersState, folder: SpoolFolder): void {
  try {
    utimesSync(folder.path, new Date(), new Date());
    if (folder === state.current) state.lastTouchMs = Date.now();
  } catch (error) {
    // Other errors may be temporary; until then the folder only looks older than it is.
    if (isMissing(error)) lose(state, folder);
  }
}

function lose(state: FoldersState, folder: SpoolFolder): void {
  if (!state.owned.delete(folder)) return;
  if (state.current === folder) state.current = undefined;
  state.onLost(folder, existsUnderAnyOwner(state.dir, folder.id));
}

/** Whether another process has renamed the folder. */
function existsUnderAnyOwner(dir: string, id: string): boolean {
  try {
    return readdirSync(dir).some((name) => name.startsWith(`${id}~`));
  } catch {
    // The whole directory is gone.
    return false;
  }
}

function makeFolder({ dir, owner }: SpoolFoldersOptions): SpoolFolder {
  const id = randomUUID();
  const path = join(dir, folderName(id, owner));
  makeWithParents(path);
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  return { id, path };
}

/**
 * Readable by this user only: logs contain personal data. Without Node's `recursive`, which never returns where the kernel
 * makes no folders, as in /proc.
 */
function makeWithParents(path: string): void {
  const parent = dirname(path);
  if (!existsSync(parent)) makeWithParents(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process was faster.
    if (!existsSync(path)) throw error;
  }
}

async function takeOver(
  state: FoldersState,
  name: string,
  id: string,
): Promise<SpoolFolder | undefined> {
  const from = join(state.dir, name);
  const folder = { id, path: join(state.dir, folderName(id, state.owner)) };
  try {
    await access(from, constants.R_OK | constants.W_OK | constants.X_OK);
    // Before the rename: under its new name the folder must never look like that of a dead owner.
    await utimes(from, new Date(), new Date());
    await rename(from, folder.path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  state.owned.add(folder);
  return folder;
}

async function giveBack(state: FoldersState, folder: SpoolFolder): Promise<void> {
  if (folder === state.current || !state.owned.delete(folder)) return;
  await rename(folder.path, join(state.dir, folderName(folder.id, noOwner)));
}

async function remove(state: FoldersState, folder: SpoolFolder): Promise<void> {
  if (folder === state.current || !state.owned.delete(folder)) return;
  await rmdir(folder.path);
}

function release({ dir }: FoldersState, { id, path }: SpoolFolder): void {
  try {
    rmdirSync(path);
  } catch {
    try {
      renameSync(path, join(dir, folderName(id, noOwner)));
    } catch {
      // Another process takes it over once the heartbeat has timed out.
    }
  }
}

/** Whether an error says that a file or folder does not exist. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
