import { existsSync } from 'node:fs';
import { access, chmod, constants, mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** The project's root; this file is compiled to dist/dev/. */
export const projectRoot = resolve(import.meta.dirname, '..', '..');

/** The top-level folders of source code. */
export const sourceFolders = [
  'api',
  'workers',
  'shared',
  'migrations',
  'cli',
  'dev',
  'bench',
  'test',
] as const;

/** The folders in which the local stack keeps its state. */
export interface DataLayout {
  readonly root: string;
  /** One log file per process. */
  readonly logs: string;
  /** One pid file per process, by which the next start finds processes orphaned by a `kill -9`. */
  readonly run: string;
}

/** The data folder cannot be used; the message says why, and how to name another. */
export class DataDirError extends Error {}

/** Creates the data folder with its subfolders for logs and pid files. @throws {DataDirError} */
export function prepareDataDir(root: string): Promise<DataLayout> {
  const layout = { root, logs: join(root, 'logs'), run: join(root, 'run') };
  return inDataDir(root, async () => {
    await makeFolder(root);
    await mkdir(layout.logs, { recursive: true, mode: 0o700 });
    // A folder of an earlier version is readable by other users.
    await chmod(layout.logs, 0o700);
    await mkdir(layout.run, { recursive: true });
    for (const folder of [root, layout.run]) await access(folder, constants.W_OK);
    return layout;
  });
}

/** The `recursive` of `mkdir` never ends where no folder can be made and the system says ENOENT, such as in /proc. */
async function makeFolder(path: string): Promise<void> {
  if (existsSync(path)) return;
  await makeFolder(dirname(path));
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    // Another process may have made it meanwhile.
    if (!existsSync(path)) throw error;
  });
}

/** Does what reads or writes files of the data folder. @throws {DataDirError} where the system refuses that. */
export async function inDataDir<Result>(
  root: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new DataDirError(
      `The data folder ${root} cannot be used: ${error.message}. ` +
        'Set DEV_DATA_DIR to a folder that you may create or write to.',
      { cause: error },
    );
  }
}
