import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** The project's root, seen from the compiled file in dist/dev/. */
export const projectRoot = resolve(import.meta.dirname, '..', '..');

/** The folders at the top that hold code. */
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

/** Where the local stack keeps what must outlive it. */
export interface DataLayout {
  readonly root: string;
  /** One log file per process. */
  readonly logs: string;
  /** One pid file per process, by which the next start finds what a `kill -9` left behind. */
  readonly run: string;
}

/** Creates the data folder and the folders that every part of the stack uses. */
export async function prepareDataDir(root: string): Promise<DataLayout> {
  const layout = { root, logs: join(root, 'logs'), run: join(root, 'run') };
  await mkdir(layout.logs, { recursive: true });
  await mkdir(layout.run, { recursive: true });
  return layout;
}
