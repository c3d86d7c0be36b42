import { hostname } from 'node:os';
import { isInStep, readClock, type ClockReading } from '../clocks.js';
import { product } from '../config/version.js';
import type { Database } from '../database/connect.js';
import { duration } from '../duration.js';
import { messageOf } from '../errors/message-of.js';
import type { Check } from '../health/checks.js';
import type { StopCause } from '../lifecycle/lifecycle.js';
import { startRepeating, type Repeating } from '../lifecycle/repeat.js';
import { waitAtMost } from '../lifecycle/wait-at-most.js';
import { createLogThrottle } from '../logging/log-throttle.js';
import type { Logger } from '../logging/logger.js';
import type { Metrics } from '../metrics/metrics.js';
import { createMinutes, type Minutes } from '../metrics/minutes.js';
import { boundedText, isSameHealth, checkHealth, type Health } from './health.js';
import { writePresence, type ProcessEnd, type ProcessIdentity } from './write-presence.js';

export interface PresenceDeps {
  readonly database: Database;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly service: ProcessIdentity['service'];
  /** What a worker does; empty for the API. */
  readonly roles: readonly string[];
  /** The readiness checks, which ask other servers. */
  readonly checks: Readonly<Record<string, Check>>;
  /** What the process knows without asking: looked at more often. They may be among the checks too. */
  readonly facts?: Readonly<Record<string, Check>>;
}

export interface PresenceSettings {
  /** How often `facts` are read: a change is written at once. */
  readonly factsEveryMs: number;
  /** How often the checks are made. */
  readonly checkEveryMs: number;
  /** How many milliseconds until the counts of the last minute are written. */
  readonly untilNextMinute: () => number;
}

/** Records heartbeats and health in PostgreSQL, and the per-minute metrics of this process. */
export interface Presence {
  /** Begins to write: to be called once the process works. */
  start(): void;
  /** Writes why the process ends, before anything is released. Takes a second at most. */
  stopping(cause: StopCause): Promise<void>;
  /** Writes what was counted last, and that the process has stopped. Takes a second at most; safe twice, and before the start. */
  stop(cause: StopCause): Promise<void>;
}

const MINUTE_MS = 60_000;
/** PostgreSQL is down, or slow: the process must end all the same. */
const LAST_WRITE_MS = 1_000;
const SAME_WARNING_EVERY_MS = 3_600_000;

const defaults: PresenceSettings = {
  factsEveryMs: 5_000,
  checkEveryMs: 15_000,
  // Not all processes at once, and soon: a chart shows the minute once it is written.
  untilNextMinute: () => MINUTE_MS - (Date.now() % MINUTE_MS) + 1_000 + 9_000 * Math.random(),
};

interface State {
  readonly deps: PresenceDeps;
  readonly settings: PresenceSettings;
  readonly process: ProcessIdentity;
  readonly minutes: Minutes;
  readonly isWarningDue: (kind: string) => boolean;
  health: Health;
  /** As it was written last. */
  writtenHealth: Health | undefined;
  /** By the monotonic clock. */
  checksDueAt: number;
  minuteDueAt: number;
  end: ProcessEnd | undefined;
  isFailing: boolean;
  isStopped: boolean;
}

/**
 * The presence of this process. Never disturbs the process: while PostgreSQL is down it is logged once, counts are kept for the next
 * write, and the row is written as soon as that works. A process that is killed vanishes: its row is not seen any more.
 */
export function createPresence(
  deps: PresenceDeps,
  settings: PresenceSettings = defaults,
): Presence {
  const state: State = {
    deps,
    settings,
    process: {
      id: crypto.randomUUID(),
      service: deps.service,
      roles: deps.roles,
      version: product.version,
      host: hostname(),
      pid: process.pid,
    },
    minutes: createMinutes(deps.metrics),
    isWarningDue: createLogThrottle(SAME_WARNING_EVERY_MS),
    health: {},
    writtenHealth: undefined,
    checksDueAt: -Infinity,
    minuteDueAt: performance.now() + settings.untilNextMinute(),
    end: undefined,
    isFailing: false,
    isStopped: false,
  };
  deps.metrics.collect(['rollcall_readiness_check'], () => ({
    rollcall_readiness_check: Object.entries(state.health).map(([check, { ok }]) => ({
      labels: { check },
      value: ok ? 1 : 0,
    })),
  }));
  let repeating: Repeating | undefined;
  return {
    start: () => void (repeating ??= startRepeating(() => update(state), 0, { unref: true })),
    async stopping(cause) {
      if (!repeating) return;
      state.end ??= endOf(cause);
      await waitAtMost(LAST_WRITE_MS, write(state, { withMinute: false }));
    },
    stop: async (cause) => repeating && stop(state, repeating, cause),
  };
}

/** One turn: checks what is due, and writes if a minute is over or something has changed. */
async function update(state: State): Promise<number> {
  const { deps, settings } = state;
  const now = performance.now();
  const areChecksDue = now >= state.checksDueAt;
  const checks = { ...(areChecksDue && deps.checks), ...deps.facts };
  if (areChecksDue) state.checksDueAt = now + settings.checkEveryMs;
  state.health = { ...state.health, ...(await checkHealth(checks, state.health)) };
  const isMinuteDue = performance.now() >= state.minuteDueAt;
  const hasChanged = !state.writtenHealth || !isSameHealth(state.health, state.writtenHealth);
  if (isMinuteDue || hasChanged) await write(state, { withMinute: isMinuteDue });
  return Math.max(Math.min(settings.factsEveryMs, state.minuteDueAt - performance.now()), 0);
}

/** Never rejects. */
async function write(
  state: State,
  { withMinute }: { readonly withMinute: boolean },
): Promise<void> {
  const { deps, settings, minutes, health } = state;
  if (withMinute) state.minuteDueAt = performance.now() + settings.untilNextMinute();
  try {
    const minute = withMinute ? await minutes.take() : undefined;
    const clock = await readClock('PostgreSQL', () =>
      writePresence(deps.database, {
        process: state.process,
        uptimeSeconds: process.uptime(),
        memoryBytes: process.memoryUsage.rss(),
        health,
        end: state.end,
        minute,
      }),
    );
    if (minute) minutes.written(minute);
    state.writtenHealth = health;
    // Not with every write: another result is a change, which is written at once.
    if (withMinute || !health['clock']) noteClock(state, clock);
    if (state.isFailing) deps.log.info('presence recorded again');
    state.isFailing = false;
  } catch (error) {
    deps.metrics.count('rollcall_presence_write_failures_total');
    // The reason is that of every other statement, which is logged where it matters.
    if (!state.isFailing) deps.log.warn({ err: error }, 'presence not recorded');
    state.isFailing = true;
  }
}

/** What the process finds about its own clock is no readiness check: an operator decides what to do with the process. */
function noteClock(state: State, clock: ClockReading): void {
  const ok = isInStep(clock);
  const offset = duration(Math.abs(clock.aheadMs) / 1_000);
  const problem = `${offset} ${clock.aheadMs < 0 ? 'ahead of' : 'behind'} PostgreSQL`;
  state.health = { ...state.health, clock: ok ? { ok } : { ok, problem } };
  if (!ok && state.isWarningDue('clock'))
    state.deps.log.warn({ 'event.reason': problem }, 'clock skew detected');
}

async function stop(state: State, repeating: Repeating, cause: StopCause): Promise<void> {
  if (state.isStopped) return;
  state.isStopped = true;
  const lastWrite = async (): Promise<void> => {
    await repeating.stop();
    state.end = { ...(state.end ?? endOf(cause)), isOver: true };
    await write(state, { withMinute: true });
  };
  await waitAtMost(LAST_WRITE_MS, lastWrite());
}

function endOf({ reason, exitCode, error }: StopCause): ProcessEnd {
  const why = error instanceof Error ? `${reason}: ${error.name}: ${messageOf(error)}` : reason;
  return { reason: boundedText(why), exitCode, isOver: false };
}
