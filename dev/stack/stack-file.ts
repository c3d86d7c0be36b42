import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How other programs find a running `npm run dev`: `stack.json` in its data folder. */
export interface StackDescription {
  readonly api: string;
  /** The operators' console. */
  readonly console: string;
  readonly worker: string;
  readonly mailbox: string;
  readonly firehose: string;
  readonly postgres: string;
  readonly redis: string;
  readonly operator: { readonly email: string; readonly password: string };
  /** The pids of the processes that `npm run dev` has started, by name. */
  readonly pids: Readonly<Record<string, number>>;
}

/** `stack.json` of the stack that this process runs: absent before the first `write` and after `remove`. */
export interface StackFile {
  /** Replaces the file atomically: concurrent readers see the old or the new description. */
  write(description: StackDescription): Promise<void>;
  /** Removes the file; later writes do nothing. Safe twice. */
  remove(): Promise<void>;
}

/** Takes over `stack.json` of a data folder, and removes a stale one. */
export async function claimStackFile(dataDir: string): Promise<StackFile> {
  const file = fileIn(dataDir);
  let isRemoved = false;
  let last: Promise<void> = Promise.resolve();

  async function replace(description: StackDescription): Promise<void> {
    if (isRemoved) return;
    await writeFile(`${file}.new`, `${JSON.stringify(description, null, 2)}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  await rm(file, { force: true });
  return {
    write(description) {
      const done = last.then(() => replace(description));
      last = done.catch(() => undefined);
      return done;
    },
    async remove() {
      isRemoved = true;
      await last;
      await rm(file, { force: true });
    },
  };
}

/** The description of the stack that runs on this data folder, if there is one. */
export async function readStackFile(dataDir: string): Promise<StackDescription | undefined> {
  const text = await readFile(fileIn(dataDir), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as StackDescription);
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'stack.json');
}
