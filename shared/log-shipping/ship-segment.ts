import { packLines, shipLogBatch, UNREADABLE_BATCH } from '../jobs/ship-log-batch.js';
import type { JobQueue } from '../queues/job-queue.js';
import type { QueueRoom } from '../queues/queue-room.js';
import type { Receipts } from '../queues/receipts.js';
import {
  hasSegment,
  isFresh,
  markInFlight,
  postpone,
  removeSegment,
  returnToWaiting,
  type Backlog,
  type Segment,
} from './backlog.js';
import { readSegment } from './segment-file.js';
import { isMissing, type SpoolFolder } from './spool-folders.js';

export interface ShipSegmentDeps {
  readonly backlog: Backlog;
  readonly queue: Pick<JobQueue<'logs'>, 'add' | 'stateOf'>;
  readonly receipts: Pick<Receipts, 'find'>;
  readonly room: QueueRoom;
  /** Sends a folder's heartbeat; if the folder is lost, its segments leave the backlog. */
  readonly touch: (folder: SpoolFolder) => void;
  /** Counts the lines of a segment that will never be shipped. */
  readonly countDropped: (segment: Segment) => Promise<void>;
  /** Removes a segment's file, and its folder if that is empty and not written to. */
  readonly discard: (segment: Segment) => Promise<void>;
}

/**
 * What has become of a batch:
 * - `queued`: the queue has its job, waiting or active
 * - `shipped`: the stream has accepted all of it
 * - `failed`: the queue has failed its job, and keeps the job's id
 * - `unreadable`: the same, because the payload could not be unpacked
 * - `lost`: there is neither a job nor a receipt
 */
type BatchStatus = 'queued' | 'shipped' | 'failed' | 'unreadable' | 'lost';

/** A batch without a receipt: its job is looked up when it was not seen for this long. */
const LOOK_UP_AFTER_MS = 5_000;
/** Jobs looked up at a time; more only while some of them are lost, so that a paused queue is not searched whole. */
const LOOK_UPS_AT_ONCE = 20;
/** A readable segment that was damaged in Redis succeeds when packed again; a bound for what never does. */
const MAX_UNREADABLE = 3;
/** A job that Redis keeps outside of every list would be refused for ever: lost twice, it gets another id. */
const MAX_ADDS_PER_GENERATION = 2;

/** Derived from the segment, so that enqueueing it twice makes one job. */
const jobIdOf = ({ folder, sequence, generation }: Segment): string =>
  `l-${folder.id}-${sequence}${generation === 0 ? '' : `-${generation}`}`;

/** Enqueues a waiting segment, or settles it without if that is not needed. @throws when it must be tried again later. */
export async function enqueueSegment(deps: ShipSegmentDeps, segment: Segment): Promise<void> {
  const { backlog, queue, room } = deps;
  if (segment.mayBeQueued && !(await mustEnqueue(deps, segment))) return;
  if (!(await room.has(segment.bytes))) throw new Error('Redis has no room for another batch');
  const data = await readPayload(deps, segment);
  if (!data || !hasSegment(backlog, segment)) return;
  // From here on the job may be in the queue although its answer is lost.
  segment.mayBeQueued = true;
  await queue.add({ id: jobIdOf(segment), contract: shipLogBatch, data });
  segment.timesAdded += 1;
  markInFlight(backlog, segment);
}

/** Settles the segments in flight that have a receipt. Those without whose job is gone wait to be enqueued again. */
export async function checkInFlight(deps: ShipSegmentDeps): Promise<void> {
  const { backlog, receipts } = deps;
  const segments = [...backlog.inFlight];
  const shipped = await receipts.find(segments.map(jobIdOf));
  for (const segment of segments) if (shipped.has(jobIdOf(segment))) await settle(deps, segment);

  const now = performance.now();
  const unseen = [...backlog.inFlight]
    .filter(({ lastSeenMs }) => now - lastSeenMs >= LOOK_UP_AFTER_MS)
    .toSorted((one, other) => one.lastSeenMs - other.lastSeenMs);
  for (let start = 0; start < unseen.length; start += LOOK_UPS_AT_ONCE) {
    const some = unseen.slice(start, start + LOOK_UPS_AT_ONCE);
    const statuses = await Promise.all(some.map((segment) => statusOf(deps, segment)));
    const gone = some.filter((_, i) => statuses[i] !== 'queued');
    for (const segment of some) segment.lastSeenMs = now;
    if (gone.length === 0) return;
    returnToWaiting(backlog, gone);
  }
}

/** Whether a batch that may be known already must be enqueued; if so, its job id is free. */
async function mustEnqueue(deps: ShipSegmentDeps, segment: Segment): Promise<boolean> {
  for (;;) {
    const status = await statusOf(deps, segment);
    if (status === 'lost') {
      if (segment.timesAdded < MAX_ADDS_PER_GENERATION) return true;
      startNextGeneration(segment);
      continue;
    }
    if (status === 'queued') {
      markInFlight(deps.backlog, segment);
      return false;
    }
    if (status === 'shipped') {
      await settle(deps, segment);
      return false;
    }
    startNextGeneration(segment);
    if (status === 'unreadable' && segment.generation >= MAX_UNREADABLE) {
      await deps.countDropped(segment);
      await settle(deps, segment);
      return false;
    }
  }
}

/**
 * Asks the queue first and the receipts second: a batch that is shipped in between has its receipt by then.
 * @throws when Redis does not answer.
 */
async function statusOf(
  { queue, receipts }: Pick<ShipSegmentDeps, 'queue' | 'receipts'>,
  segment: Segment,
): Promise<BatchStatus> {
  const id = jobIdOf(segment);
  const { state, failedReason } = await queue.stateOf(id);
  if (state === 'waiting' || state === 'delayed' || state === 'active') return 'queued';
  if ((await receipts.find([id])).has(id)) return 'shipped';
  if (state === 'broken') return 'failed';
  if (state !== 'failed') return 'lost';
  return failedReason === UNREADABLE_BATCH ? 'unreadable' : 'failed';
}

/** Gives the segment's job an id that the queue does not know. */
function startNextGeneration(segment: Segment): void {
  segment.generation += 1;
  segment.timesAdded = 0;
}

async function readPayload(deps: ShipSegmentDeps, segment: Segment) {
  try {
    const lines = await readSegment(segment.path, isFresh(deps.backlog, segment));
    if (lines.length > 0) return await packLines(lines);
    await settle(deps, segment);
    return undefined;
  } catch (error) {
    if (!isMissing(error)) {
      postpone(deps.backlog, segment);
      throw error;
    }
    // If another process has taken the folder over, nothing is dropped.
    deps.touch(segment.folder);
    if (removeSegment(deps.backlog, segment)) await deps.countDropped(segment);
    return undefined;
  }
}

async function settle({ backlog, discard }: ShipSegmentDeps, segment: Segment): Promise<void> {
  if (removeSegment(backlog, segment)) await discard(segment);
}
