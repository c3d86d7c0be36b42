import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readDevEnv } from '../env.js';

/** How test files ended. */
export type Outcome = 'passed' | 'failed' | 'timed out';

/** Which test files run where, and for how long at most. */
export interface FilesRun {
  readonly root: string;
  /** Below `test/`, without `.test.ts`. */
  readonly files: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const KILL_AFTER_MS = 3_000;

/** Runs test files until the first fails. What they start is in their process group, and ends with it. */
export async function runFiles(run: FilesRun): Promise<Outcome> {
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
  const given = new AbortController();
  const tooLong = delay(run.timeoutMs, 'too long' as const, { signal: given.signal }).catch(
    () => 'too long' as const,
  );
  const onAbort = (): void => given.abort();
  run.signal.addEventListener('abort', onAbort);
  const first = await Promise.race([ended, tooLong]);
  run.signal.removeEventListener('abort', onAbort);
  given.abort();
  await endGroup(child.pid ?? 0, ended);
  run.signal.throwIfAborted();
  if (first === 'too long') return 'timed out';
  return first === 0 ? 'passed' : 'failed';
}

async function endGroup(group: number, ended: Promise<unknown>): Promise<void> {
  if (!signalGroup(group, 'SIGTERM')) return;
  await Promise.race([ended, delay(KILL_AFTER_MS)]);
  signalGroup(group, 'SIGKILL');
  await ended;
}

/** False when nothing is left of the group. */
function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}
