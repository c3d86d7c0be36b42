import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { projectRoot } from '../../paths.js';
import { stopLeftover, writePidFile } from './pid-file.js';

/** How a process ended: by its own exit code, or by a signal. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child process that has been started. */
export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  /** Settles when the process is gone, whatever ended it. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Asks the process to end, kills it if it has not after `patienceMs`, resolves when it is gone. Safe twice. */
  stop(patienceMs?: number): Promise<ProcessExit>;
  /** Sends a signal at once, SIGKILL unless told otherwise. Does nothing to a process that has ended. */
  kill(signal?: NodeJS.Signals): void;
  /** The last lines that it wrote, for telling a person why it ended; JSON log lines are put into plain words. */
  lastLines(count?: number): string[];
}

/** What every child process needs to be told. */
interface CommonOptions {
  readonly name: string;
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Receives stdout and stderr, appended; the process writes to it itself, so nothing is lost if its parent dies. */
  readonly logFile: string;
  /** Lets the next start find this process if its parent is killed. */
  readonly pidFile?: string;
  readonly stopSignal?: NodeJS.Signals;
}

/** A program of this project, by its path below `dist/`. */
export interface ScriptOptions extends CommonOptions {
  readonly script: string;
}

/** Any other program. `uid` and `gid` are for servers that refuse to run as root. */
export interface CommandOptions extends CommonOptions {
  readonly command: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

const maxLogBytes = 16 * 1024 * 1024;

/** Starts a compiled program of this project under Node, as a process of its own. */
export function startProcess(options: ScriptOptions): Promise<RunningProcess> {
  const { script, args = [], ...common } = options;
  return startCommand({
    ...common,
    command: process.execPath,
    args: ['--enable-source-maps', script, ...args],
  });
}

/**
 * Starts a program, and resolves once the system has started it (not: once it is ready).
 * It gets a process group of its own, so that a Ctrl-C in the terminal reaches only its parent, which stops things in order.
 */
export async function startCommand(options: CommandOptions): Promise<RunningProcess> {
  const { name, pidFile, logFile, stopSignal = 'SIGTERM' } = options;
  if (pidFile !== undefined) await stopLeftover(pidFile);
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
    stop: (patienceMs = 10_000) => stopChild(child, exited, stopSignal, patienceMs),
    kill: (signal = 'SIGKILL') => void child.kill(signal),
    lastLines: (count = 12) => readTail(logFile, logStart, count),
  };
}

/**
 * Polls until `isReady` says yes. Rejects, with the last lines of the log, if the process ends first or the time is up;
 * rejects with the signal's reason if that is aborted.
 */
export async function waitUntilReady(
  running: RunningProcess,
  isReady: () => Promise<boolean>,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  let ended = false;
  void running.exited.then(() => (ended = true));
  while (!(await isReady())) {
    options.signal?.throwIfAborted();
    if (ended) throw new StartError(`${running.name} ended before it was ready`, running);
    if (Date.now() > deadline) {
      throw new StartError(`${running.name} was not ready after ${options.timeoutMs} ms`, running);
    }
    await delay(25);
  }
}

/** A process could not be brought up; the message ends with what it wrote last. */
export class StartError extends Error {
  constructor(what: string, running: RunningProcess) {
    const lines = running.lastLines();
    super(lines.length === 0 ? what : `${what}; it said:\n  ${lines.join('\n  ')}`);
    this.name = 'StartError';
  }
}

function spawned(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => resolve(child.pid ?? 0));
  });
}

// Held for the whole process, because that is what it guards: whichever way this process exits, its children go with it.
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
  patienceMs: number,
): Promise<ProcessExit> {
  child.kill(stopSignal);
  const lastResort = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  try {
    return await exited;
  } finally {
    clearTimeout(lastResort);
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
    return buffer.toString('utf8').split('\n').filter(Boolean).slice(-count).map(inWords);
  } finally {
    closeSync(file);
  }
}

function inWords(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const record = JSON.parse(line) as Record<string, unknown>;
    const parts = [record['log.level'], record['message'], record['error.message']];
    return parts.filter((part) => typeof part === 'string').join(': ');
  } catch {
    return line;
  }
}
