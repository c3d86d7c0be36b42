import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Mutant } from './mutants.js';
import { runTestFiles, type TestFilesRun } from './run-files.js';

/** A test file's run without a mutant. */
export interface MeasuredFile {
  readonly name: string;
  readonly ms: number;
  /** The ids of the mutants whose code it covers. */
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
 * Runs each test file once without a mutant, and finds out which mutants it covers. Files that fail or time out are left
 * out. Measurements of the same build are read from `cache`.
 */
export async function measureCoverage(
  names: readonly string[],
  mutants: readonly Mutant[],
  run: Omit<TestFilesRun, 'files' | 'timeoutMs'> & {
    readonly cache: string;
    /** How many files run at once. */
    readonly concurrency: number;
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
  const work = async (): Promise<void> => {
    for (const name of queue) await measureNext(name);
  };
  await Promise.all(Array.from({ length: run.concurrency }, work));
  return measured;
}

async function measureFile(
  name: string,
  mutants: readonly Mutant[],
  run: Omit<TestFilesRun, 'files' | 'timeoutMs'>,
): Promise<MeasuredFile> {
  const folder = join(run.root, 'coverage', name.replaceAll('/', '~'));
  await rm(folder, { recursive: true, force: true });
  const startedAt = performance.now();
  const outcome = await runTestFiles({
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
    // It does not exist yet, or is torn: its process was killed while writing.
    return undefined;
  }
}
