import { setTimeout as delay } from 'node:timers/promises';
import { packLines, shipLogBatch } from '../jobs/ship-log-batch.js';
import type { JobQueue } from '../queues/job-queue.js';
import type { Receipts } from '../queues/receipts.js';
import type { QueueRoom } from '../queues/queue-room.js';
import type { Backlog, Segment } from './backlog.js';
import { jobIdOf, locate } from './ship-segment.js';
import { isMissing, type SpoolFolder } from './spool-folders.js';
import { readSegment } from './segment-file.js';

/** Brings sealed segments on their way, and removes those that have arrived. */
export interface SpoolShipper {
  /** There is something to ship. */
  wake(): void;
  /** Goes on enqueueing until nothing waits or the deadline is over; then does nothing any more. */
  stop(deadlineMs: number): Promise<void>;
  /** Batches that the queue gave up, each of which was enqueued again or was unreadable for good. */
  readonly failedBatches: number;
}

export interface SpoolShipperDeps {
  readonly backlog: Backlog;
  readonly queue: Pick<JobQueue<'logs'>, 'add' | 'stateOf'>;
  readonly receipts: Receipts;
  readonly room: QueueRoom;
  /** Counts its lines: they never were shipped, and never will be. */
  readonly countDropped: (segment: Segment) => Promise<void>;
  /** Gives a folder up, and what is in it, if it is not this process's any more. */
  readonly verify: (folder: SpoolFolder) => void;
  /** Removes a segment's file, and its folder if that is done with. */
  readonly discard: (segment: Segment) => Promise<void>;
}

const RETRY_AFTER_MS = 1_000;
/** Who stops is in a hurry. */
const RETRY_STOP_AFTER_MS = 100;
const LOOK_EVERY_MS = 2_000;
/** A batch without a receipt is asked for by its job once it was not seen for so long. */
const DOUBT_AFTER_MS = 5_000;
/** So many jobs a look, unless some of them are lost: a queue that rests is no reason to ask for all of them. */
const ASK_AT_ONCE = 20;
/** Packed afresh, what is fine on disk arrives fine. What never does would go round for ever. */
const MAX_UNREADABLE = 3;
/** In no list and yet in Redis, a job's id would be refused for ever: one that is lost again gets another. */
const LOST_AGAIN = 2;

/**
 * Enqueues what waits, oldest first, while there is room. Looks for receipts while batches are under way: a segment is
 * kept until its receipt is there, and enqueued again when Redis has lost its job or the queue has given it up.
 */
export function createSpoolShipper(deps: SpoolShipperDeps): SpoolShipper {
  const { backlog } = deps;
  let shipping: Promise<void> | undefined;
  let retryTimer: NodeJS.Timeout | undefined;
  let lookTimer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let isOver = false;
  const counts = { failedBatches: 0 };

  const shipAll = async (): Promise<void> => {
    for (let next = backlog.next(); next && !isOver; next = backlog.next()) {
      await shipOne(deps, next, counts);
      watch();
    }
  };

  const ship = (): Promise<void> => {
    clearTimeout(retryTimer);
    retryTimer = undefined;
    shipping ??= shipAll()
      .catch(() => {
        // Redis is gone or full, and tells so itself. What waits is on disk.
        if (!isOver) retryTimer = setTimeout(() => void ship(), RETRY_AFTER_MS);
        retryTimer?.unref();
      })
      .finally(() => {
        shipping = undefined;
      });
    return shipping;
  };

  const watch = (): void => {
    if (isOver || lookTimer !== undefined || !backlog.hasQueued()) return;
    lookTimer = setTimeout(() => {
      looking = look(deps)
        .catch(() => {
          // Redis cannot be asked now; it is asked again.
        })
        .finally(() => {
          lookTimer = undefined;
          watch();
          wake();
        });
    }, LOOK_EVERY_MS);
    lookTimer.unref();
  };

  const wake = (): void => {
    if (!isOver && retryTimer === undefined && backlog.next()) void ship();
  };

  return {
    wake,
    async stop(deadlineMs) {
      const deadline = performance.now() + deadlineMs;
      while (backlog.next() && performance.now() < deadline) {
        await before(deadline, ship());
        if (backlog.next()) await before(deadline, delay(RETRY_STOP_AFTER_MS));
      }
      isOver = true;
      clearTimeout(retryTimer);
      clearTimeout(lookTimer);
      await Promise.all([shipping, looking]);
    },
    get failedBatches() {
      return counts.failedBatches;
    },
  };
}

/** Enqueues one segment, or settles it if it need not be. @throws when it cannot be done now. */
async function shipOne(
  deps: SpoolShipperDeps,
  segment: Segment,
  counts: { failedBatches: number },
): Promise<void> {
  const { backlog, queue } = deps;
  if (segment.mayBeQueued && (await isSettled(deps, segment, counts))) return;
  if (!(await deps.room.has(segment.bytes))) throw new Error('there is no room in Redis');
  const data = await readPayload(deps, segment);
  if (!data || !backlog.has(segment)) return;
  // From now on an answer may be lost.
  segment.mayBeQueued = true;
  await queue.add({ id: jobIdOf(segment), contract: shipLogBatch, data });
  segment.timesAdded += 1;
  backlog.enqueued(segment);
}

async function readPayload(deps: SpoolShipperDeps, segment: Segment) {
  try {
    const lines = await readSegment(segment.path);
    if (lines.length > 0) return await packLines(lines);
    await settle(deps, segment);
    return undefined;
  } catch (error) {
    if (!isMissing(error)) {
      deps.backlog.postpone(segment);
      throw error;
    }
    // With the folder in another's hands it is not this process that has lost it.
    deps.verify(segment.folder);
    if (deps.backlog.remove(segment)) await deps.countDropped(segment);
    return undefined;
  }
}

/** Whether a batch that may be known already need not be enqueued; else it bears an id that is free. */
async function isSettled(
  deps: SpoolShipperDeps,
  segment: Segment,
  counts: { failedBatches: number },
): Promise<boolean> {
  for (;;) {
    const place = await locate(jobIdOf(segment), deps);
    if (place === 'lost') {
      if (segment.timesAdded < LOST_AGAIN) return false;
      nextGeneration(segment);
      continue;
    }
    if (place === 'queued') {
      deps.backlog.enqueued(segment);
      return true;
    }
    if (place === 'shipped') {
      await settle(deps, segment);
      return true;
    }
    counts.failedBatches += 1;
    nextGeneration(segment);
    if (place === 'unreadable' && segment.generation >= MAX_UNREADABLE) {
      await deps.countDropped(segment);
      await settle(deps, segment);
      return true;
    }
  }
}

/** Its job gets an id that the queue does not know. */
function nextGeneration(segment: Segment): void {
  segment.generation += 1;
  segment.timesAdded = 0;
}

async function settle({ backlog, discard }: SpoolShipperDeps, segment: Segment): Promise<void> {
  if (backlog.remove(segment)) await discard(segment);
}

/** Removes what has arrived; what has not, and is no longer known to be on its way, waits again. */
async function look(deps: SpoolShipperDeps): Promise<void> {
  const { backlog, receipts } = deps;
  const queued = backlog.queued();
  const found = await receipts.find(queued.map(jobIdOf));
  for (const segment of queued) if (found.has(jobIdOf(segment))) await settle(deps, segment);

  const now = performance.now();
  const doubtful = backlog
    .queued()
    .filter(({ seenAtMs }) => now - seenAtMs >= DOUBT_AFTER_MS)
    .toSorted((one, other) => one.seenAtMs - other.seenAtMs);
  for (let start = 0; start < doubtful.length; start += ASK_AT_ONCE) {
    const some = doubtful.slice(start, start + ASK_AT_ONCE);
    const places = await Promise.all(some.map((segment) => locate(jobIdOf(segment), deps)));
    const gone = some.filter((_, i) => places[i] !== 'queued');
    for (const segment of some) segment.seenAtMs = now;
    if (gone.length === 0) return;
    backlog.requeue(gone);
  }
}

/** Waits for the work, but no longer than until then. */
async function before(deadline: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const isTimeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadline - performance.now());
  });
  await Promise.race([work, isTimeUp]);
  clearTimeout(timer);
}
