import { rm } from 'node:fs/promises';
import { ConfigError } from '../config/config.js';
import type { JobQueue } from '../queues/job-queue.js';
import type { Receipts } from '../queues/receipts.js';
import type { LogDestination, Logger } from '../logging/logger.js';
import { createLogThrottle } from '../logging/log-throttle.js';
import type { LogMessage } from '../logging/messages.js';
import type { QueueRoom } from '../queues/queue-room.js';
import { startAdoption } from './takeover.js';
import { createBacklog } from './backlog.js';
import { cutLine } from './truncate-line.js';
import { createDroppedLines, gapFields } from './dropped-lines.js';
import { openFolderKeeper, type FolderKeeper, type SpoolFolder } from './spool-folders.js';
import { createLineTicker } from './line-buffer.js';
import { createSpoolCap } from './spool-cap.js';
import { thisProcess, type FolderOwner } from './folder-owner.js';
import { createSpoolShipper } from './shipper.js';
import { createSpoolWriter } from './segment-writer.js';

/**
 * Where a process's log lines go: to the disk, then to stdout, and from the disk on to Firehose. A line that was on
 * stdout is shipped at least once, whatever ends the process and whatever Redis loses, unless the spool overflows.
 */
export interface Spool extends LogDestination {
  /** From now on segments are shipped, and those of ended processes are taken over. */
  startShipping(route: ShippingRoute): Shipping;
  /** Writes what is held and gives the folders back, at once. Whatever is written from now on goes to stdout alone. */
  close(): void;
  /** Lines that never will be shipped, since the start. */
  readonly droppedLines: number;
}

/** A process's part in shipping. */
export interface Shipping {
  /** Enqueues what is there, but for no longer than this. What is left stays on disk for the next process. */
  stop(deadlineMs: number): Promise<void>;
  /** Batches that the queue gave up and that were enqueued again. */
  readonly failedBatches: number;
}

/** Where segments are shipped to. */
export interface ShippingRoute {
  readonly queue: Pick<JobQueue<'logs'>, 'add' | 'stateOf'>;
  readonly receipts: Receipts;
  readonly room: QueueRoom;
  /** Takes the record of what was dropped; writes to this spool. */
  readonly log: Logger;
}

/** How a spool is opened. */
export interface SpoolOptions {
  readonly dir: string;
  /** How much of the disk the segments of this process may take. */
  readonly maxBytes: number;
  /** Writes to stdout alone: for what is wrong with the spool. */
  readonly localLog: Logger;
  readonly print?: (lines: string) => void;
  readonly owner?: FolderOwner;
}

const SAME_WARNING_EVERY_MS = 60_000;

/**
 * Opens this process's folder below `dir`. Lines of one turn of the event loop are written together, first to the disk,
 * then to stdout; the process's end and `fatal` lines do not wait for the turn's end.
 * @throws {ConfigError} when there can be no folder.
 */
export function openSpool(options: SpoolOptions): Spool {
  const { print = (text) => void process.stdout.write(text) } = options;
  const parts = openParts({ ...options, me: options.owner ?? thisProcess() }, print);
  const { ticker, writer, keeper, dropped } = parts;

  const close = (): void => {
    process.off('exit', close);
    ticker.divert((lines) => print(lines.join('')));
    writer.seal();
    keeper.release();
  };
  process.once('exit', close);

  return {
    write: ticker.write,
    flushSync: ticker.flush,
    startShipping: (route) => startShipping(parts, route),
    close,
    get droppedLines() {
      return dropped.total;
    },
  };
}

type Parts = ReturnType<typeof openParts>;

/** The writing half: it works from the first line on, whether or not anything is ever shipped. */
function openParts(
  { dir, me, maxBytes, localLog }: SpoolOptions & { me: FolderOwner },
  print: (lines: string) => void,
) {
  const dropped = createDroppedLines();
  const backlog = createBacklog();
  const warn = createWarning(localLog, () => dropped.total);
  /** What shipping adds once it starts. */
  const hooks = { gapLog: undefined as Logger | undefined, onSealed: (): void => undefined };

  const tell = (): void => {
    const gap = hooks.gapLog && dropped.takeUntold();
    if (gap) hooks.gapLog?.warn(gapFields(gap), 'log lines dropped');
  };
  const keeper = openKeeper(dir, me, (folder, isTakenOver) => {
    const open = writer.forget(folder);
    const sealed = backlog.removeFolder(folder).reduce((sum, { lines = 0 }) => sum + lines, 0);
    if (!isTakenOver) dropped.addUnread(open + sealed);
    warn('spool folder lost');
  });
  const writer = createSpoolWriter({
    keeper,
    onSealed(segment) {
      backlog.add(segment);
      cap.check();
      hooks.onSealed();
    },
    onFailed(lines, error) {
      dropped.add(lines.join(''));
      if (error !== undefined) warn('spool write failed', error);
    },
  });
  const ticker = createLineTicker((lines) => {
    const isWritten = writer.append(lines.map(cutLine));
    print(lines.join(''));
    if (isWritten && dropped.hasUntold()) tell();
  });
  const cap = createSpoolCap({
    maxBytes,
    backlog,
    dropped,
    tell() {
      tell();
      ticker.flush();
    },
  });
  return { dir, me, localLog, warn, dropped, backlog, keeper, writer, ticker, cap, hooks };
}

function startShipping(parts: Parts, route: ShippingRoute): Shipping {
  const { backlog, keeper, writer, ticker, cap, hooks, warn } = parts;
  const shipper = createSpoolShipper({
    ...route,
    backlog,
    countDropped: cap.count,
    verify: keeper.verify,
    async discard({ path, folder }) {
      try {
        await rm(path, { force: true });
        if (backlog.isEmpty(folder)) await keeper.remove(folder);
      } catch (error) {
        warn('spool segment removal failed', error);
      }
    },
  });
  // Whatever level is written otherwise.
  hooks.gapLog = route.log.child({}, { level: 'warn' });
  hooks.onSealed = shipper.wake;
  const adoption = startAdoption({
    ...parts,
    log: route.log,
    onAdopted() {
      cap.check();
      shipper.wake();
    },
  });
  shipper.wake();

  return {
    async stop(deadlineMs) {
      ticker.flush();
      writer.seal();
      await Promise.all([adoption.stop(), shipper.stop(deadlineMs), cap.settled()]);
    },
    get failedBatches() {
      return shipper.failedBatches;
    },
  };
}

function openKeeper(
  dir: string,
  me: FolderOwner,
  onLost: (folder: SpoolFolder, isTakenOver: boolean) => void,
): FolderKeeper {
  try {
    return openFolderKeeper({ dir, me, onLost });
  } catch {
    throw new ConfigError([
      { variable: 'SPOOL_DIR', problem: 'names a folder that cannot be made or written' },
    ]);
  }
}

/** Tells each trouble once a minute at most. */
function createWarning(localLog: Logger, droppedLines: () => number) {
  const isDue = createLogThrottle(SAME_WARNING_EVERY_MS);
  return (message: LogMessage, error?: unknown): void => {
    if (!isDue(message)) return;
    const fields = { 'labels.dropped_lines': droppedLines() };
    localLog.warn(error === undefined ? fields : { ...fields, err: error }, message);
  };
}
