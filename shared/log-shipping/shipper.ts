import { setTimeout as delay } from 'node:timers/promises';
import { waitAtMost } from '../lifecycle/wait-at-most.js';
import { nextWaiting } from './backlog.js';
import { checkInFlight, enqueueSegment, type ShipSegmentDeps } from './ship-segment.js';

/** Enqueues sealed segments, and removes them once they have a receipt. */
export interface Shipper {
  /** A segment is waiting. */
  wake(): void;
  /** Stops once no segment waits or the deadline has passed. */
  stop(deadlineMs: number): Promise<void>;
}

interface ShipperState {
  readonly deps: ShipSegmentDeps;
  enqueueing: Promise<void> | undefined;
  retryTimer: NodeJS.Timeout | undefined;
  checking: Promise<void> | undefined;
  checkTimer: NodeJS.Timeout | undefined;
  isStopped: boolean;
}

const RETRY_AFTER_MS = 1_000;
const RETRY_AFTER_WHILE_STOPPING_MS = 100;
const CHECK_EVERY_MS = 2_000;

/**
 * Enqueues waiting segments, oldest first, while there is room, and looks for receipts while any are in flight. A segment
 * is kept until it has a receipt, and enqueued again when Redis has lost its job or the queue has failed it.
 */
export function createShipper(deps: ShipSegmentDeps): Shipper {
  const state: ShipperState = {
    deps,
    enqueueing: undefined,
    retryTimer: undefined,
    checking: undefined,
    checkTimer: undefined,
    isStopped: false,
  };
  return {
    wake: () => wake(state),
    stop: (deadlineMs) => stop(state, deadlineMs),
  };
}

function wake(state: ShipperState): void {
  if (state.isStopped || state.retryTimer !== undefined) return;
  if (nextWaiting(state.deps.backlog)) void enqueueAll(state);
}

/** Enqueues what waits, or joins the run that is doing so. Never rejects: a failed run is retried. */
function enqueueAll(state: ShipperState): Promise<void> {
  clearTimeout(state.retryTimer);
  state.retryTimer = undefined;
  state.enqueueing ??= enqueueEach(state)
    .catch(() => {
      // Redis is unreachable or full, which is logged elsewhere. What waits is on disk.
      if (!state.isStopped)
        state.retryTimer = setTimeout(() => void enqueueAll(state), RETRY_AFTER_MS);
      state.retryTimer?.unref();
    })
    .finally(() => {
      state.enqueueing = undefined;
    });
  return state.enqueueing;
}

async function enqueueEach(state: ShipperState): Promise<void> {
  const { deps } = state;
  let segment = nextWaiting(deps.backlog);
  while (segment && !state.isStopped) {
    await enqueueSegment(deps, segment);
    scheduleCheck(state);
    segment = nextWaiting(deps.backlog);
  }
}

function scheduleCheck(state: ShipperState): void {
  if (state.isStopped || state.checkTimer !== undefined || state.deps.backlog.inFlight.size === 0)
    return;
  state.checkTimer = setTimeout(() => {
    state.checking = check(state);
  }, CHECK_EVERY_MS);
  state.checkTimer.unref();
}

async function check(state: ShipperState): Promise<void> {
  try {
    await checkInFlight(state.deps);
  } catch {
    // Redis does not answer; the next check asks again.
  }
  state.checkTimer = undefined;
  scheduleCheck(state);
  wake(state);
}

async function stop(state: ShipperState, deadlineMs: number): Promise<void> {
  const { backlog } = state.deps;
  const deadline = performance.now() + deadlineMs;
  while (nextWaiting(backlog) && performance.now() < deadline) {
    await waitAtMost(deadline - performance.now(), enqueueAll(state));
    if (nextWaiting(backlog)) await delay(RETRY_AFTER_WHILE_STOPPING_MS);
  }
  state.isStopped = true;
  clearTimeout(state.retryTimer);
  clearTimeout(state.checkTimer);
  await Promise.all([state.enqueueing, state.checking]);
}
