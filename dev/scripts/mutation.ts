import { randomInt } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from '@swc/core';
import { createRandom } from '../random.js';
import { openTestStack } from '../checks/test-stack.js';
import { readDevEnv } from '../env.js';
import { measureFiles, type MeasuredFile } from '../mutation/coverage.js';
import { findMutants, mutated, type Mutant } from '../mutation/mutants.js';
import { sourcePlace } from '../mutation/place.js';
import { runFiles, type Outcome } from '../mutation/run-files.js';
import { percentOf, SUMMARY_FILE, type MutationSummary, type Score } from '../mutation/summary.js';
import { targets, testFiles } from '../mutation/targets.js';
import { makeTree, type Tree } from '../mutation/tree.js';
import { readOptions } from '../options.js';
import { projectRoot } from '../paths.js';
import { listenForStop } from '../command-line.js';

// `npm run mutation`: which changes to the code would no test notice? Stryker has no runner for ava, and cannot hand a
// mutant on to the processes that our tests start; here the compiled file itself is changed, in a copy of the project.

const USAGE = `npm run mutation -- [--seconds N] [--max N] [--seed N] [--folder NAME] [--tests NAMES]

  --seconds N    no mutant is begun after so long; 900. What the tests run is measured before that, once a build
  --max N        how many mutants are tried; no bound
  --seed N       the sample of a run before, which goes on where that ended; else a new one, which is printed
  --folder NAME  mutants of this folder alone: ${Object.keys(targets).join(', ')}
  --tests NAMES  only test files whose names begin so, comma-separated, for a quicker look; all that are about the folders

Writes ${SUMMARY_FILE}, which \`npm run docs\` shows in docs/security.md. Exit code 0 when the run came to its end.
`;

/** More test files than this meet a mutant only if a quicker one has noticed it. */
const FILES_PER_MUTANT = 5;
/** Test files wait half of their time for the servers. */
const LANES = 3;
const PATIENCE = { times: 3, plusMs: 20_000 };

/** What became of a mutant. */
type Fate = Outcome | 'not reached';
type Candidate = Mutant & { readonly folder: string };

const stop = listenForStop();
const cache = join(readDevEnv().dataDir, 'mutation');
process.exitCode = await main();

async function main(): Promise<number> {
  const given = readOptions(USAGE, {
    options: {
      seconds: { type: 'string', default: '900' },
      max: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      folder: { type: 'string' },
      tests: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (!given) return 64;
  const { folder, help } = given.values;
  const plan = {
    seconds: Number(given.values.seconds),
    max: Number(given.values.max),
    seed: Number(given.values.seed),
    tests: given.values.tests.split(','),
  };
  const isRight = plan.seconds > 0 && plan.max > 0 && Number.isInteger(plan.seed);
  if (help || !isRight || (folder !== undefined && !(folder in targets))) {
    process.stdout.write(USAGE);
    return help ? 0 : 64;
  }
  try {
    await run(plan, folder === undefined ? Object.keys(targets) : [folder]);
    return 0;
  } catch (error) {
    if (!stop.aborted) throw error;
    print('stopped; the same seed goes on from here');
    return 130;
  }
}

interface Plan {
  readonly seconds: number;
  readonly max: number;
  readonly seed: number;
  /** Beginnings of names. */
  readonly tests: readonly string[];
}

async function run(plan: Plan, folders: readonly string[]): Promise<void> {
  print(`seed ${plan.seed}`);
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-mutation-'));
  try {
    const trees = await Promise.all(
      Array.from({ length: LANES }, (_, lane) => makeTree(join(dataDir, `tree-${lane}`), stop)),
    );
    const [tree] = trees;
    if (!tree) return;
    const stack = await openTestStack({ dataDir: join(dataDir, 'stack'), signal: stop });
    try {
      const { environment } = stack;
      const all = await mutantsOf(tree, Object.keys(targets));
      const files = await measureFiles(await namesOfTests(plan.tests), all, {
        ...{ root: tree.root, environment, signal: stop, cache, print, lanes: LANES },
      });
      const sample = drawSample(
        all.filter((mutant) => folders.includes(mutant.folder)),
        plan.seed,
      );
      const fates = await tryMutants(sample, files, { trees, environment, plan });
      await writeSummary({ seed: plan.seed, test_files: files.length }, all, fates);
    } finally {
      await stack.close();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function mutantsOf(tree: Tree, folders: readonly string[]): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const folder of folders) {
    const path = `dist/${targets[folder]}`;
    const names = await readdir(join(tree.root, path), { recursive: true });
    for (const name of names.filter((each) => each.endsWith('.js')).toSorted()) {
      const file = `${path}/${name}`;
      const mutants = await findMutants(file, await tree.read(file));
      found.push(...mutants.map((mutant) => Object.assign(mutant, { folder })));
    }
  }
  return found;
}

async function namesOfTests(beginnings: readonly string[]): Promise<string[]> {
  const names = await readdir(join(projectRoot, 'test'), { recursive: true });
  return names
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => name.replaceAll('\\', '/').slice(0, -'.test.ts'.length))
    .filter((name) => testFiles.some((beginning) => name.startsWith(beginning)))
    .filter((name) => beginnings.some((beginning) => name.startsWith(beginning)))
    .toSorted();
}

/** In an order that the seed decides, a mutant of each folder by turns. */
function drawSample(mutants: readonly Candidate[], seed: number): Candidate[] {
  const random = createRandom(seed);
  const keyed = mutants.map((mutant) => ({ mutant, key: random.between(0, 1) }));
  const turns = new Map<string, number>();
  return keyed
    .toSorted((one, other) => one.key - other.key)
    .map(({ mutant }) => {
      const turn = turns.get(mutant.folder) ?? 0;
      turns.set(mutant.folder, turn + 1);
      return { mutant, turn };
    })
    .toSorted((one, other) => one.turn - other.turn)
    .map(({ mutant }) => mutant);
}

interface Means {
  /** One for each mutant that is tried at a time. */
  readonly trees: readonly Tree[];
  readonly environment: Readonly<Record<string, string>>;
  readonly plan: Plan;
}

async function tryMutants(
  sample: readonly Candidate[],
  files: readonly MeasuredFile[],
  { trees, environment, plan }: Means,
): Promise<Map<string, Fate>> {
  const results = join(cache, `fates-${plan.seed}.ndjson`);
  const known = await readFates(results);
  const fates = new Map([...known].filter(([id]) => sample.some((mutant) => mutant.id === id)));
  const until = performance.now() + plan.seconds * 1_000;
  const queue = sample.values();
  const isOver = (): boolean => fates.size >= plan.max || performance.now() > until;
  const tryNext = async (tree: Tree, mutant: Candidate): Promise<void> => {
    if (known.has(mutant.id)) return;
    if (!(await isProgram(mutated(await tree.read(mutant.file), mutant)))) return;
    const fate = await fateOf(mutant, files, tree, environment);
    fates.set(mutant.id, fate);
    print(`${String(fates.size).padStart(4)}  ${fate.padEnd(11)}  ${mutant.file}: ${mutant.what}`);
    await mkdir(dirname(results), { recursive: true });
    await appendFile(results, `${JSON.stringify([mutant.id, fate])}\n`);
  };
  const lane = async (tree: Tree): Promise<void> => {
    for (const mutant of queue) {
      if (isOver()) return;
      await tryNext(tree, mutant);
    }
  };
  await Promise.all(trees.map(lane));
  return fates;
}

/** What `??` became may not stand beside another `??`. */
async function isProgram(source: string): Promise<boolean> {
  try {
    await parse(source, { syntax: 'ecmascript', target: 'es2022' });
    return true;
  } catch {
    return false;
  }
}

async function fateOf(
  mutant: Candidate,
  files: readonly MeasuredFile[],
  tree: Tree,
  environment: Readonly<Record<string, string>>,
): Promise<Fate> {
  const reaching = files
    .filter(({ reaches }) => reaches.includes(mutant.id))
    .toSorted((one, other) => one.ms - other.ms)
    .slice(0, FILES_PER_MUTANT);
  if (reaching.length === 0) return 'not reached';
  return tree.withMutant(mutant, async () => {
    for (const { name, ms } of reaching) {
      const timeoutMs = PATIENCE.times * ms + PATIENCE.plusMs;
      const options = { root: tree.root, environment, signal: stop, timeoutMs };
      const outcome = await runFiles({ ...options, files: [name] });
      if (outcome !== 'passed') return outcome;
    }
    return 'passed';
  });
}

async function readFates(file: string): Promise<Map<string, Fate>> {
  try {
    const lines = (await readFile(file, 'utf8')).split('\n').filter(Boolean);
    return new Map(lines.map((line) => JSON.parse(line) as [string, Fate]));
  } catch {
    // The first run with this seed.
    return new Map();
  }
}

async function writeSummary(
  how: Pick<MutationSummary, 'seed' | 'test_files'>,
  all: readonly Candidate[],
  fates: ReadonlyMap<string, Fate>,
): Promise<void> {
  const folders: Record<string, Score> = {};
  for (const folder of new Set(all.map((mutant) => mutant.folder))) {
    const mutants = all.filter((mutant) => mutant.folder === folder);
    const count = (...wanted: Fate[]): number =>
      mutants.filter(({ id }) => wanted.includes(fates.get(id) ?? ('' as Fate))).length;
    const score = {
      found: mutants.length,
      tried: count('passed', 'failed', 'timed out', 'not reached'),
      killed: count('failed'),
      timed_out: count('timed out'),
      survived: count('passed'),
      not_reached: count('not reached'),
    };
    folders[folder] = score;
    print(`${folder}: ${percentOf(score)} % of ${score.tried} noticed`);
  }
  const survivors = all
    .filter(({ id }) => ['passed', 'not reached'].includes(fates.get(id) ?? ''))
    .map(({ file, start, what }) => Object.assign(sourcePlace(file, start), { what }));
  const date = new Date().toISOString().slice(0, 10);
  const summary: MutationSummary = { date, ...how, folders, survivors };
  await writeFile(join(projectRoot, SUMMARY_FILE), `${JSON.stringify(summary, null, 2)}\n`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
