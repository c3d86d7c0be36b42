import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readDevEnv } from '../env.js';

/** The result of running test files. */
export type TestOutcome = 'passed' | 'failed' | 'timed out';

/** The test files to run, and where. */
export interface TestFilesRun {
  /** A copy of the project. */
  readonly root: string;
  /** Below `test/`, without `.test.ts`. */
  readonly files: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const KILL_AFTER_MS = 3_000;

/** Runs test files until the first fails. Whatever they start is in their process group, which is killed at the end. */
export async function runTestFiles(run: TestFilesRun): Promise<TestOutcome> {
  run.signal.throwIfAborted();
  const paths = run.files.map((file) => `test/${file}.test.ts`);
  const child = spawn(join(run.root, 'node_modules/.bin/ava'), ['--fail-fast', ...paths], {
    cwd: run.root,
    env: { ...readDevEnv().inherited, ...run.environment },
    stdio: 'ignore',
    detached: true,
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code));
  });
  const timer = new AbortController();
  const timedOut = delay(run.timeoutMs, 'timed out' as const, { signal: timer.signal }).catch(
    () => 'timed out' as const,
  );
  const onAbort = (): void => timer.abort();
  run.signal.addEventListener('abort', onAbort);
  const first = await Promise.race([ended, timedOut]);
  run.signal.removeEventListener('abort', onAbort);
  timer.abort();
  await killGroup(child.pid ?? 0, ended);
  run.signal.throwIfAborted();
  if (first === 'timed out') return 'timed out';
  return first === 0 ? 'passed' : 'failed';
}

async function killGroup(group: number, ended: Promise<unknown>): Promise<void> {
  if (!signalGroup(group, 'SIGTERM')) return;
  await Promise.race([ended, delay(KILL_AFTER_MS)]);
  signalGroup(group, 'SIGKILL');
  await ended;
}

/** False if the group has no process left. */
function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}
