import type { ApiConfig } from '../config/config.js';
import { isDatabaseUnavailable } from '../database/failures.js';
import { jittered, startRepeating, type Repeating } from '../lifecycle/repeat.js';
import type { SpoolUse } from '../log-shipping/open-logging.js';
import { createLogThrottle } from '../logging/log-throttle.js';
import type { Logger } from '../logging/logger.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Queues } from '../queues/queues.js';
import {
  claimHeartbeat,
  claimNotices,
  noticeTimes,
  recordNotified,
  reportStates,
  returnHeartbeat,
  settleNotices,
  type AlertChanges,
  type NoticeTimes,
} from './alert-store.js';
import {
  createStreaks,
  debounce,
  evaluate,
  type Confirmed,
  type Evaluation,
  type Streaks,
} from './evaluation.js';
import {
  readFacts,
  RECENT_SECONDS,
  rolesNeeded,
  type Facts,
  type FactsDeps,
  type SpoolFacts,
} from './facts.js';
import {
  createFallbackNotices,
  forgetNotified,
  notifiedStates,
  notifyCleared,
  notifyRaised,
  type FallbackNotices,
} from './fallback-notices.js';
import { sendNotice, type NoticeChannel } from './notice.js';
import { redStateNames } from './red-states.js';
import { callUrl, createWebhook } from './webhook.js';

export interface AlertingDeps extends Omit<FactsDeps, 'spool'> {
  readonly queues: FactsDeps['queues'] & Pick<Queues, 'isFirst'>;
  readonly spoolUse: () => SpoolUse | undefined;
  /** The ways on which this process can reach somebody. */
  readonly channels: readonly NoticeChannel[];
  readonly heartbeatUrl: string | undefined;
  /** `APP_ENV`. */
  readonly environment: string;
  /** See {@link Notice}. */
  readonly runbookUrl: string;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'collect'>;
}

export interface AlertingSettings {
  readonly everyMs: number;
  /** An alert is cleared when nobody has seen its state for so long. */
  readonly unseenMs: number;
  /** After PostgreSQL was away, the processes need so long to report themselves again. */
  readonly presenceAfterMs: number;
  /** After PostgreSQL or Redis was away, each task needs so long to run again. */
  readonly tasksAfterMs: number;
  readonly times: NoticeTimes;
}

const defaults: AlertingSettings = {
  everyMs: 15_000,
  unseenMs: 40_000,
  presenceAfterMs: 150_000,
  tasksAfterMs: 60_000,
  times: noticeTimes,
};
const JITTER = 0.2;
const SAME_WARNING_EVERY_MS = 60_000;

/** What alerting needs of either configuration. */
export const alertSettings = ({
  alerts,
  logging,
  spool,
}: Pick<ApiConfig, 'alerts' | 'logging' | 'spool'>) => ({
  heartbeatUrl: alerts.heartbeatUrl,
  runbookUrl: alerts.runbookUrl,
  environment: logging.environment,
  neededRoles: rolesNeeded(spool !== undefined),
});

/** The webhook, if there is one. */
export const webhooks = ({ webhookUrl }: ApiConfig['alerts']): NoticeChannel[] =>
  webhookUrl === undefined ? [] : [createWebhook(webhookUrl)];

interface Alerting {
  readonly deps: AlertingDeps;
  readonly settings: AlertingSettings;
  readonly streaks: Streaks;
  readonly fallback: FallbackNotices;
  readonly isDue: (kind: string) => boolean;
  /** How many lines the spool had dropped, and when; none at the start of the process. */
  readonly drops: { readonly at: number; readonly lines: number }[];
  /** The last one; `undefined` before the first. */
  evaluation: Evaluation | undefined;
  /** While notices are being sent. */
  sending: Promise<void> | undefined;
  /** Open alerts as of the last turn with PostgreSQL. */
  open: readonly string[];
  /** When the table of the processes is complete again; by a monotonic clock. */
  presenceFrom: number;
  /** The same of the runs of the tasks. */
  tasksFrom: number;
}

/**
 * Evaluates the red states about every 15 seconds, until stopped; notifies the operators on every channel when an alert is
 * raised and when it is cleared, and calls the heartbeat URL each minute while none is open. All processes do; through
 * PostgreSQL they agree on who sends what. While that is away each sends what it sees. Notices are delivered at least once: a
 * process that ends between the delivery and the record of it leaves the notice to another.
 */
export function startAlerting(
  deps: AlertingDeps,
  settings: Partial<AlertingSettings> = {},
): Repeating {
  const alerting: Alerting = {
    deps,
    settings: { ...defaults, ...settings },
    streaks: createStreaks(),
    fallback: createFallbackNotices(),
    isDue: createLogThrottle(SAME_WARNING_EVERY_MS),
    drops: [{ at: performance.now(), lines: 0 }],
    evaluation: undefined,
    sending: undefined,
    open: [],
    presenceFrom: 0,
    tasksFrom: 0,
  };
  deps.metrics.collect(['rollcall_red_state'], () => ({
    rollcall_red_state: alerting.evaluation ? readingsOf(alerting.evaluation) : [],
  }));
  const pauseMs = (): number => jittered(alerting.settings.everyMs, JITTER);
  const evaluating = startRepeating(
    async (signal) => {
      try {
        await evaluateOnce(alerting, signal);
      } catch (error) {
        warn(alerting, error);
      }
      return pauseMs();
    },
    pauseMs(),
    { unref: true },
  );
  return {
    runNow: evaluating.runNow,
    async stop() {
      await evaluating.stop();
      await alerting.sending;
    },
  };
}

/** States that are unknown are left out. */
const readingsOf = ({ red, unknown }: Evaluation) =>
  redStateNames
    .filter((name) => !unknown.includes(name))
    .map((name) => ({
      labels: { name },
      value: red.some((state) => state.name === name) ? 1 : 0,
    }));

async function evaluateOnce(alerting: Alerting, signal: AbortSignal): Promise<void> {
  const { deps } = alerting;
  const facts = await readFacts({ ...deps, spool: () => spoolFacts(alerting) });
  if (signal.aborted) return;
  const evaluation = evaluate(withoutOutages(alerting, facts));
  alerting.evaluation = evaluation;
  const confirmed = debounce(alerting.streaks, evaluation);
  // While PostgreSQL is away for this process, it is the wrong place to say so.
  const changes = isPostgresUp(facts) ? await report(alerting, confirmed) : undefined;
  // Not awaited: what others see may depend on this process's next evaluation in time.
  alerting.sending ??= notify(alerting, { evaluation, confirmed, changes }, signal)
    .catch((error: unknown) => warn(alerting, error))
    .finally(() => (alerting.sending = undefined));
}

/** Writes what is confirmed to PostgreSQL; `undefined` when it was not accepted. */
async function report(
  alerting: Alerting,
  { red, notRed }: Confirmed,
): Promise<AlertChanges | undefined> {
  const { database, log } = alerting.deps;
  try {
    const changes = await reportStates(database, red, notRed, alerting.settings.unseenMs);
    alerting.open = changes.open;
    for (const { name, detail } of red)
      if (changes.raised.includes(name))
        log.error({ 'labels.alert': name, 'event.reason': detail }, 'alert raised');
    for (const name of changes.cleared) log.info({ 'labels.alert': name }, 'alert cleared');
    await recordFallback(alerting);
    return changes;
  } catch (error) {
    warn(alerting, error);
    return undefined;
  }
}

/** Records for open alerts where this process has sent notices while PostgreSQL was away. What fails is tried again next time. */
async function recordFallback(alerting: Alerting): Promise<void> {
  const { deps, fallback, open } = alerting;
  try {
    for (const [channel, names] of notifiedStates(fallback, open)) {
      await recordNotified(deps.database, channel, names);
      forgetNotified(fallback, channel, names);
    }
  } catch (error) {
    warn(alerting, error);
  }
}

function warn({ deps, isDue }: Alerting, error: unknown): void {
  // That PostgreSQL is down is logged by the readiness checks.
  if (isDatabaseUnavailable(error) || !isDue(String(error))) return;
  deps.log.warn({ err: error }, 'alerts not recorded');
}

interface Outcome {
  readonly evaluation: Evaluation;
  readonly confirmed: Confirmed;
  /** `undefined` when PostgreSQL is away. */
  readonly changes: AlertChanges | undefined;
}

/** Sends every notice that is due. */
async function notify(
  alerting: Alerting,
  { evaluation, confirmed, changes }: Outcome,
  signal: AbortSignal,
): Promise<void> {
  const { deps, fallback, open } = alerting;
  const fallbackDeps = { ...deps, isFirst: deps.queues.isFirst };
  await notifyCleared(fallback, fallbackDeps, confirmed.notRed, signal);
  if (!changes) {
    const red = confirmed.red.filter(({ name }) => !open.includes(name));
    return notifyRaised(fallback, fallbackDeps, red, signal);
  }
  // Without a record of them, the same notices would be sent again.
  if (notifiedStates(fallback, open).size === 0) await sendClaimed(alerting, signal);
  if (isAllWell(evaluation, changes)) await callHeartbeat(alerting, signal);
}

/** Sends what is due on each channel and is for this process to send. */
async function sendClaimed({ deps, settings }: Alerting, signal: AbortSignal): Promise<void> {
  const { database, channels, environment, runbookUrl, log } = deps;
  await Promise.all(
    channels.map(async (channel) => {
      const { keys, ...content } = await claimNotices(database, channel.name, settings.times);
      if (keys.length === 0) return;
      const notice = { environment, runbookUrl, ...content };
      const wasDelivered = await sendNotice(log, channel, notice, signal);
      await settleNotices(database, channel.name, keys, wasDelivered);
    }),
  );
}

const isAllWell = ({ red, unknown }: Evaluation, { open }: AlertChanges): boolean =>
  red.length + unknown.length + open.length === 0;

/** Calls the heartbeat URL if nobody has within this minute. */
async function callHeartbeat({ deps, isDue }: Alerting, signal: AbortSignal): Promise<void> {
  const { database, heartbeatUrl, log } = deps;
  if (heartbeatUrl === undefined || !(await claimHeartbeat(database))) return;
  try {
    await callUrl(heartbeatUrl, signal, { method: 'GET' });
  } catch (error) {
    if (isDue(`heartbeat: ${String(error)}`)) log.warn({ err: error }, 'heartbeat failed');
    await returnHeartbeat(database);
  }
}

/** Without what could not be reported for a while after an outage: of PostgreSQL the processes, of either store the tasks. */
function withoutOutages(alerting: Alerting, facts: Facts): Facts {
  const now = performance.now();
  const { presenceAfterMs, tasksAfterMs } = alerting.settings;
  const isUp = isPostgresUp(facts);
  const isRedisUp = facts.checks['redis']?.ok === true;
  if (!isUp) alerting.presenceFrom = now + presenceAfterMs;
  if (!isUp || !isRedisUp) alerting.tasksFrom = now + tasksAfterMs;
  return {
    ...facts,
    processes: now < alerting.presenceFrom ? undefined : facts.processes,
    tasks: now < alerting.tasksFrom ? undefined : facts.tasks,
  };
}

/** It works with any locale. */
function isPostgresUp({ checks: { postgres } }: Facts): boolean {
  return postgres?.ok === true || postgres?.kind === 'unsuitable_locale';
}

function spoolFacts({ deps, drops }: Alerting): SpoolFacts | undefined {
  const use = deps.spoolUse();
  if (!use) return undefined;
  const now = performance.now();
  drops.push({ at: now, lines: use.droppedLines });
  while (drops[1] && now - drops[1].at > RECENT_SECONDS * 1_000) drops.shift();
  return { ...use, recentlyDropped: use.droppedLines - (drops[0]?.lines ?? 0) };
}
