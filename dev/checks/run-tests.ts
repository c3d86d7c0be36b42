import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { readDevEnv } from '../env.js';
import { projectRoot } from '../paths.js';
import { readAva, readErrors } from './ava-output.js';
import { add, report, type Tally } from './tally.js';
import { secretsIn } from './test-secrets.js';
import { planTestRun, writeTestGroups } from './test-groups.js';
import { openTestStack, type TestStack } from './test-stack.js';
import { runTool } from './tool.js';

const coverageFolder = 'coverage';

/** Which tests to run: all of them, and under the coverage gate, if no file is named. */
interface TestOptions {
  readonly files: readonly string[];
  readonly signal: AbortSignal;
  /** No test begins before; the stack is opened meanwhile. */
  readonly after: Promise<unknown>;
}

/**
 * Runs the tests against a stack of their own, which is gone when this resolves, whatever happened.
 * What goes wrong around the tests counts as a failure; it never rejects.
 */
export async function runTests(options: TestOptions): Promise<Tally> {
  const startedAt = performance.now();
  const named = options.files.filter((file) => !/[*?{[!]/.test(file));
  const unknown = named.filter((file) => !existsSync(file));
  if (unknown.length > 0)
    return report({ name: 'tests', startedAt, fault: `there is no ${unknown.join(', ')}` });
  const others = named.filter((file) => !/\.test\.[jt]s$/.test(file));
  if (others.length > 0)
    return report({ name: 'tests', startedAt, fault: `not a test file: ${others.join(', ')}` });
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-test-'));
  try {
    const stack = await openTestStack({
      dataDir,
      onProgress: (line) => process.stdout.write(`      ${line}\n`),
      signal: options.signal,
    });
    try {
      await options.after;
      const tests = await runAva(options, stack);
      if (options.files.length > 0) return tests;
      return [tests, await checkCoverage(options.signal), await checkRecords(dataDir)].reduce(add);
    } finally {
      await stack.close();
    }
  } catch (error) {
    return report({ name: 'tests', startedAt, fault: String(error) });
  } finally {
    // A process that was broken off may still write there.
    await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

async function runAva({ files, signal }: TestOptions, stack: TestStack): Promise<Tally> {
  const name = 'tests';
  const startedAt = performance.now();
  const coverage = join(projectRoot, coverageFolder);
  // What an earlier run measured must not pass for this one's.
  const isMeasured = files.length === 0;
  if (isMeasured) await rm(coverage, { recursive: true, force: true });
  const selected = isMeasured ? await wholeRun() : files;
  const child = spawn(join(projectRoot, 'node_modules/.bin/ava'), selected, {
    cwd: projectRoot,
    env: {
      ...readDevEnv().inherited,
      ...(isMeasured && { COVERAGE_DIR: join(coverage, 'tmp') }),
      ...stack.environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stop = () => void child.kill();
  signal.addEventListener('abort', stop);
  const [{ passed, failed, skipped, seconds, failures }, stderr] = await Promise.all([
    readAva(child.stdout, (line) => process.stdout.write(`      ${line}\n`)),
    readErrors(child.stderr),
    once(child, 'close'),
  ]);
  signal.removeEventListener('abort', stop);

  const counts = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  if (child.exitCode === 0 && failed === 0 && passed > 0) {
    report({ name, startedAt, claim: counts });
    tellSlowest(seconds);
    return { passed, failed, failures: [] };
  }
  report({ name, startedAt, fault: [`${counts}; on stderr:`, ...stderr.last].join('\n') });
  const all = [...failures, ...stderr.failures.map((line) => [line])];
  if (all.length === 0)
    all.push([`ava ended with ${child.signalCode ?? `exit code ${child.exitCode}`}`]);
  return { passed, failed: Math.max(failed, 1), failures: all };
}

async function wholeRun(): Promise<readonly string[]> {
  const plan = await planTestRun();
  await writeTestGroups(plan);
  return [...plan.groups.keys(), ...plan.alone];
}

const TOLD_FILES = 8;
const TOLD_FROM_SECONDS = 10;

/** Where the time went, for whoever finds it long. */
function tellSlowest(seconds: ReadonlyMap<string, number>): void {
  const slow = [...seconds]
    .filter(([, longest]) => longest >= TOLD_FROM_SECONDS)
    .toSorted(([, one], [, other]) => other - one)
    .slice(0, TOLD_FILES)
    .map(([file, longest]) => `${file} ${longest.toFixed(0)} s`);
  if (slow.length > 0) process.stdout.write(`      longest tests: ${slow.join(', ')}\n`);
}

/** Every line that any process of any test has shipped: none may hold a secret. */
async function checkRecords(dataDir: string): Promise<Tally> {
  const startedAt = performance.now();
  const folder = join(dataDir, 'firehose');
  let records = 0;
  const faults: string[] = [];
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.ndjson'))) {
    for await (const line of createInterface({ input: createReadStream(join(folder, file)) })) {
      records += 1;
      const found = secretsIn(line);
      if (found.length > 0)
        faults.push(`${file}: ${found.join(' and ')} in ${line.slice(0, 2_000)}`);
    }
  }
  if (records === 0) faults.push('there are no records');
  const claim = `${records} log records of all tests, and no secret in any`;
  return report({
    name: 'records',
    startedAt,
    ...(faults.length === 0 ? { claim } : { fault: faults.slice(0, 20).join('\n') }),
  });
}

interface FileCoverage {
  readonly lines: { readonly total: number; readonly covered: number; readonly pct: number };
}

async function checkCoverage(signal: AbortSignal): Promise<Tally> {
  const startedAt = performance.now();
  const c8 = join(projectRoot, 'node_modules/.bin/c8');
  const { succeeded, output } = await runTool([c8, 'report'], { signal });
  if (!succeeded) return report({ name: 'coverage', startedAt, fault: output });
  const { lines: atLeast } = await readJson<{ lines: number }>('.c8rc.json');
  const { total, ...files } = await readJson<Record<string, FileCoverage>>(
    join(coverageFolder, 'coverage-summary.json'),
  );
  const percent = total?.lines.pct ?? 0;
  const claim = `${percent} % of all lines are run, at least ${atLeast} %`;
  if (percent >= atLeast) return report({ name: 'coverage', startedAt, claim });
  const missed = ({ lines }: FileCoverage) => lines.total - lines.covered;
  const worst = Object.entries(files)
    .toSorted(([, one], [, other]) => missed(other) - missed(one))
    .slice(0, 10)
    .map(([file, one]) => `${String(missed(one)).padStart(5)}  ${relative(projectRoot, file)}`);
  const fault = [claim, 'lines missed:', ...worst].join('\n');
  return report({ name: 'coverage', startedAt, fault });
}

async function readJson<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(join(projectRoot, file), 'utf8')) as T;
}
