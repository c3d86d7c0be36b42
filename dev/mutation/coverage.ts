import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Mutant } from './mutants.js';
import { runFiles, type FilesRun } from './run-files.js';

/** What one test file does when nothing is mutated. */
export interface MeasuredFile {
  readonly name: string;
  readonly ms: number;
  /** The ids of the mutants whose place it runs. */
  readonly reaches: readonly string[];
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

const TIMEOUT_MS = 300_000;

/**
 * Runs each test file once as it is, and finds out which mutants' places it runs; one that fails or takes too long is of
 * no use and left out. What was measured of the same build before is read from `cache`.
 */
export async function measureFiles(
  names: readonly string[],
  mutants: readonly Mutant[],
  run: Omit<FilesRun, 'files' | 'timeoutMs'> & {
    readonly cache: string;
    /** How many files run at once. */
    readonly lanes: number;
    readonly print: (line: string) => void;
  },
): Promise<MeasuredFile[]> {
  const hash = createHash('sha256').update(mutants.map(({ id }) => id).join('\n'));
  const build = hash.digest('hex').slice(0, 16);
  const measured: MeasuredFile[] = [];
  const measureNext = async (name: string): Promise<void> => {
    const cached = join(run.cache, build, `${name.replaceAll('/', '~')}.json`);
    const known = await readJson<MeasuredFile>(cached);
    const file = known ?? (await measureFile(name, mutants, run));
    if (!known) {
      await mkdir(dirname(cached), { recursive: true });
      await writeFile(cached, JSON.stringify(file));
    }
    if (file.reaches.length > 0) measured.push(file);
    run.print(`${(file.ms / 1_000).toFixed(0).padStart(4)} s  ${file.reaches.length}  ${name}`);
  };
  const queue = names.values();
  const lane = async (): Promise<void> => {
    for (const name of queue) await measureNext(name);
  };
  await Promise.all(Array.from({ length: run.lanes }, lane));
  return measured;
}

async function measureFile(
  name: string,
  mutants: readonly Mutant[],
  run: Omit<FilesRun, 'files' | 'timeoutMs'>,
): Promise<MeasuredFile> {
  const folder = join(run.root, 'coverage', name.replaceAll('/', '~'));
  await rm(folder, { recursive: true, force: true });
  const startedAt = performance.now();
  const outcome = await runFiles({
    ...run,
    files: [name],
    timeoutMs: TIMEOUT_MS,
    environment: { ...run.environment, NODE_V8_COVERAGE: folder },
  });
  const ms = performance.now() - startedAt;
  if (outcome !== 'passed') return { name, ms, reaches: [] };
  const byUrl = new Map<string, Mutant[]>();
  for (const mutant of mutants) {
    const url = pathToFileURL(join(run.root, mutant.file)).href;
    byUrl.set(url, [...(byUrl.get(url) ?? []), mutant]);
  }
  const reached = new Set<string>();
  for (const report of await readdir(folder)) {
    const coverage = await readJson<{ result: Script[] }>(join(folder, report));
    for (const script of coverage?.result ?? [])
      addReached(reached, script, byUrl.get(script.url) ?? []);
  }
  return { name, ms, reaches: [...reached] };
}

function addReached(reached: Set<string>, { functions }: Script, mutants: readonly Mutant[]): void {
  const ranges = mutants.length === 0 ? [] : functions.flatMap((each) => each.ranges);
  for (const { id, start } of mutants) {
    const around = ranges.filter((range) => range.startOffset <= start && start < range.endOffset);
    const [innermost] = around.toSorted((one, other) => sizeOf(one) - sizeOf(other));
    if (innermost && innermost.count > 0) reached.add(id);
  }
}

const sizeOf = ({ startOffset, endOffset }: Range): number => endOffset - startOffset;

async function readJson<T>(file: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T;
  } catch {
    // Not there yet, or torn by a process that was killed while it wrote.
    return undefined;
  }
}
