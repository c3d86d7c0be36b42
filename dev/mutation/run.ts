import { appendFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from '@swc/core';
import { openTestStack } from '../checks/test-stack.js';
import { readDevEnv } from '../env.js';
import { projectRoot } from '../paths.js';
import { createRandom } from '../random.js';
import { measureCoverage, type MeasuredFile } from './coverage.js';
import { findMutants, mutated, type Mutant } from './mutants.js';
import { copyProject, type ProjectCopy } from './project-copy.js';
import { runTestFiles } from './run-files.js';
import { writeSummary, type MutantResult } from './summary.js';
import { targets, testFiles } from './targets.js';

/** What to mutate, and when to stop. */
export interface MutationPlan {
  readonly seconds: number;
  /** Of mutants. */
  readonly max: number;
  readonly seed: number;
  /** Names of `targets`. */
  readonly folders: readonly string[];
  /** Prefixes of the names of test files. */
  readonly testPrefixes: readonly string[];
}

/** A mutant meets at most this many test files, the quickest that cover its place. */
const MAX_FILES_PER_MUTANT = 5;
/** Test files spend half of their time waiting for servers. */
const CONCURRENCY = 3;
/** A test file has this many times its usual duration, and this much more. */
const TIMEOUT = { factor: 3, plusMs: 20_000 };

type Candidate = Mutant & { readonly folder: string };

const cache = join(readDevEnv().dataDir, 'mutation');

/** Tests a sample of mutants and writes the summary. Results are kept by seed, so that a later run continues. */
export async function runMutation(plan: MutationPlan, signal: AbortSignal): Promise<void> {
  print(`seed ${plan.seed}`);
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-mutation-'));
  try {
    const copies = await Promise.all(
      Array.from({ length: CONCURRENCY }, (_, index) =>
        copyProject(join(dataDir, `copy-${index}`), signal),
      ),
    );
    const [copy] = copies;
    if (!copy) return;
    const stack = await openTestStack({ dataDir: join(dataDir, 'stack'), signal });
    try {
      const { environment } = stack;
      const all = await findAllMutants(copy);
      const files = await measureCoverage(await testNames(plan.testPrefixes), all, {
        ...{ root: copy.root, environment, signal, cache, print, concurrency: CONCURRENCY },
      });
      const sample = drawSample(
        all.filter((mutant) => plan.folders.includes(mutant.folder)),
        plan.seed,
      );
      const results = await testMutants(sample, files, { copies, environment, plan, signal });
      await writeSummary({ seed: plan.seed, test_files: files.length }, all, results);
    } finally {
      await stack.close();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function findAllMutants(copy: ProjectCopy): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const [folder, path] of Object.entries(targets)) {
    const names = await readdir(join(copy.root, 'dist', path), { recursive: true });
    for (const name of names.filter((each) => each.endsWith('.js')).toSorted()) {
      const file = `dist/${path}/${name}`;
      const mutants = await findMutants(file, await copy.read(file));
      found.push(...mutants.map((mutant) => Object.assign(mutant, { folder })));
    }
  }
  return found;
}

async function testNames(prefixes: readonly string[]): Promise<string[]> {
  const names = await readdir(join(projectRoot, 'test'), { recursive: true });
  return names
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => name.replaceAll('\\', '/').slice(0, -'.test.ts'.length))
    .filter((name) => testFiles.some((prefix) => name.startsWith(prefix)))
    .filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
    .toSorted();
}

/** Shuffled by the seed, and round-robin over the folders. */
function drawSample(mutants: readonly Candidate[], seed: number): Candidate[] {
  const random = createRandom(seed);
  const keyed = mutants.map((mutant) => ({ mutant, key: random.between(0, 1) }));
  const rounds = new Map<string, number>();
  return keyed
    .toSorted((one, other) => one.key - other.key)
    .map(({ mutant }) => {
      const round = rounds.get(mutant.folder) ?? 0;
      rounds.set(mutant.folder, round + 1);
      return { mutant, round };
    })
    .toSorted((one, other) => one.round - other.round)
    .map(({ mutant }) => mutant);
}

interface TestRun {
  /** One for each mutant that is tested at a time. */
  readonly copies: readonly ProjectCopy[];
  readonly environment: Readonly<Record<string, string>>;
  readonly plan: MutationPlan;
  readonly signal: AbortSignal;
}

async function testMutants(
  sample: readonly Candidate[],
  files: readonly MeasuredFile[],
  run: TestRun,
): Promise<Map<string, MutantResult>> {
  const { copies, plan } = run;
  const resultsFile = join(cache, `results-${plan.seed}.ndjson`);
  const known = await readResults(resultsFile);
  const results = new Map([...known].filter(([id]) => sample.some((mutant) => mutant.id === id)));
  const until = performance.now() + plan.seconds * 1_000;
  const queue = sample.values();
  const isOver = (): boolean => results.size >= plan.max || performance.now() > until;
  const testNext = async (copy: ProjectCopy, mutant: Candidate): Promise<void> => {
    if (known.has(mutant.id)) return;
    if (!(await isValidProgram(mutated(await copy.read(mutant.file), mutant)))) return;
    const result = await testMutant(mutant, files, copy, run);
    results.set(mutant.id, result);
    print(
      `${String(results.size).padStart(4)}  ${result.padEnd(11)}  ${mutant.file}: ${mutant.what}`,
    );
    await mkdir(dirname(resultsFile), { recursive: true });
    await appendFile(resultsFile, `${JSON.stringify([mutant.id, result])}\n`);
  };
  const work = async (copy: ProjectCopy): Promise<void> => {
    for (const mutant of queue) {
      if (isOver()) return;
      await testNext(copy, mutant);
    }
  };
  await Promise.all(copies.map(work));
  return results;
}

/** Some mutants are syntax errors: `??` may not be mixed with `&&`. */
async function isValidProgram(source: string): Promise<boolean> {
  try {
    await parse(source, { syntax: 'ecmascript', target: 'es2022' });
    return true;
  } catch {
    return false;
  }
}

async function testMutant(
  mutant: Candidate,
  files: readonly MeasuredFile[],
  copy: ProjectCopy,
  { environment, signal }: TestRun,
): Promise<MutantResult> {
  const covering = files
    .filter(({ reaches }) => reaches.includes(mutant.id))
    .toSorted((one, other) => one.ms - other.ms)
    .slice(0, MAX_FILES_PER_MUTANT);
  if (covering.length === 0) return 'not reached';
  return copy.withMutant(mutant, async () => {
    for (const { name, ms } of covering) {
      const timeoutMs = TIMEOUT.factor * ms + TIMEOUT.plusMs;
      const options = { root: copy.root, environment, signal, timeoutMs };
      const outcome = await runTestFiles({ ...options, files: [name] });
      if (outcome !== 'passed') return outcome;
    }
    return 'passed';
  });
}

/** The results of earlier runs with this seed. */
async function readResults(file: string): Promise<Map<string, MutantResult>> {
  try {
    const lines = (await readFile(file, 'utf8')).split('\n').filter(Boolean);
    return new Map(lines.map((line) => JSON.parse(line) as [string, MutantResult]));
  } catch {
    return new Map();
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
