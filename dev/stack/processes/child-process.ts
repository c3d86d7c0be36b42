import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../shared/errors/message-of.js';
import { projectRoot } from '../../paths.js';
import { stopOrphan, writePidFile } from './pid-file.js';

/** How a process ended: with an exit code, or by a signal. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child process that has been started. */
export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process has exited. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Sends the stop signal, and SIGKILL after `timeoutMs`; resolves when the process has exited. Safe twice. */
  stop(timeoutMs?: number): Promise<ProcessExit>;
  /** Sends a signal, SIGKILL by default. Does nothing if the process has exited. */
  kill(signal?: NodeJS.Signals): void;
  /** The last lines of its output, for an error message; JSON log lines are shortened to level, message and error. */
  lastLines(count?: number): string[];
}

interface CommonOptions {
  readonly name: string;
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Stdout and stderr are appended to it by the process itself, so nothing is lost if its parent dies. */
  readonly logFile: string;
  /** By it the next start finds this process if its parent was killed. */
  readonly pidFile?: string;
  readonly stopSignal?: NodeJS.Signals;
}

/** A compiled program of this project. */
export interface ScriptOptions extends CommonOptions {
  /** Its path, from the project's root. */
  readonly script: string;
}

/** Any other program. `uid` and `gid` are for servers that refuse to run as root. */
export interface CommandOptions extends CommonOptions {
  readonly command: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

const maxLogBytes = 16 * 1024 * 1024;

/** Starts a compiled program of this project as a child process. */
export function startProcess(options: ScriptOptions): Promise<RunningProcess> {
  const { script, args = [], ...common } = options;
  return startCommand({
    ...common,
    command: process.execPath,
    args: ['--enable-source-maps', script, ...args],
  });
}

/**
 * Starts a program, and resolves once it runs (not: once it is ready).
 * It gets its own process group, so that a Ctrl-C in the terminal reaches only the parent, which stops its children in order.
 */
export async function startCommand(options: CommandOptions): Promise<RunningProcess> {
  const { name, pidFile, logFile, stopSignal = 'SIGTERM' } = options;
  if (pidFile !== undefined) await stopOrphan(pidFile);
  await prepareLog(logFile);
  const log = openSync(logFile, 'a');
  const logStart = fstatSync(log).size;
  const child = spawn(options.command, options.args ?? [], {
    cwd: projectRoot,
    env: options.env,
    stdio: ['ignore', log, log],
    detached: true,
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  closeSync(log);
  const pid = await spawned(child);
  const exited = watchExit(child, pidFile);
  if (pidFile !== undefined) await writePidFile(pidFile, pid, stopSignal);
  return {
    name,
    pid,
    exited,
    stop: (timeoutMs = 10_000) => stopChild(child, exited, stopSignal, timeoutMs),
    kill: (signal = 'SIGKILL') => void child.kill(signal),
    lastLines: (count = 12) => readTail(logFile, logStart, count),
  };
}

/**
 * Polls until `isReady` resolves to true; a rejection means not yet. Rejects with the last lines of the log if the process
 * exits first or the time is up, then also with the last rejection; with the signal's reason if it is aborted.
 */
export async function waitUntilReady(
  running: RunningProcess,
  isReady: () => Promise<boolean>,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  let hasExited = false;
  void running.exited.then(() => (hasExited = true));
  let reason = '';
  const isReadyNow = (): Promise<boolean> =>
    isReady().catch((error: unknown) => {
      reason = ` (${messageOf(error)})`;
      return false;
    });
  while (!(await isReadyNow())) {
    options.signal?.throwIfAborted();
    if (hasExited) throw new StartError(`${running.name} exited before it was ready`, running);
    if (Date.now() > deadline) {
      const what = `${running.name} was not ready after ${options.timeoutMs} ms${reason}`;
      throw new StartError(what, running);
    }
    await delay(25);
  }
}

/** A process could not be started; the message ends with the last lines of its output. */
export class StartError extends Error {
  constructor(what: string, running: RunningProcess) {
    const lines = running.lastLines();
    super(lines.length === 0 ? what : `${what}; its output:\n  ${lines.join('\n  ')}`);
    this.name = 'StartError';
  }
}

function spawned(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => resolve(child.pid ?? 0));
  });
}

// Module state, since it belongs to this process: however it exits, its children are killed.
const liveChildren = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of liveChildren) child.kill('SIGKILL');
});

function watchExit(child: ChildProcess, pidFile: string | undefined): Promise<ProcessExit> {
  liveChildren.add(child);
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      liveChildren.delete(child);
      const removed = pidFile === undefined ? Promise.resolve() : rm(pidFile, { force: true });
      void removed.finally(() => resolve({ code, signal }));
    });
  });
}

async function stopChild(
  child: ChildProcess,
  exited: Promise<ProcessExit>,
  stopSignal: NodeJS.Signals,
  timeoutMs: number,
): Promise<ProcessExit> {
  child.kill(stopSignal);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  try {
    return await exited;
  } finally {
    clearTimeout(timer);
  }
}

async function prepareLog(logFile: string): Promise<void> {
  await mkdir(dirname(logFile), { recursive: true });
  const size = await stat(logFile).then(
    (found) => found.size,
    () => 0,
  );
  if (size > maxLogBytes) await rename(logFile, `${logFile}.old`);
}

function readTail(logFile: string, from: number, count: number): string[] {
  const file = openSync(logFile, 'r');
  try {
    const { size } = fstatSync(file);
    const start = Math.max(from, size - 16_384);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    readSync(file, buffer, 0, buffer.length, start);
    return buffer.toString('utf8').split('\n').filter(Boolean).slice(-count).map(shortened);
  } finally {
    closeSync(file);
  }
}

function shortened(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const record = JSON.parse(line) as Record<string, unknown>;
    const parts = [record['log.level'], record['message'], record['error.message']];
    return parts.filter((part) => typeof part === 'string').join(': ');
  } catch {
    return line;
  }
}
