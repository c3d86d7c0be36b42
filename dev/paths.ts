import { chmod, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

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

/** Creates the data folder with its subfolders for logs and pid files. */
export async function prepareDataDir(root: string): Promise<DataLayout> {
  const layout = { root, logs: join(root, 'logs'), run: join(root, 'run') };
  await mkdir(layout.logs, { recursive: true, mode: 0o700 });
  // A folder of an earlier version is readable by other users.
  await chmod(layout.logs, 0o700);
  await mkdir(layout.run, { recursive: true });
  return layout;
}
