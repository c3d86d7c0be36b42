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
  recordTold,
  reportStates,
  returnHeartbeat,
  settleNotices,
  type NoticeTimes,
  type Reported,
} from './alert-store.js';
import {
  readFacts,
  RECENT_SECONDS,
  rolesNeeded,
  type Facts,
  type FactsDeps,
  type SpoolFacts,
} from './facts.js';
import { believe, createHolds, type Believed, type Holds } from './holds.js';
import type { NoticeChannel } from './notice.js';
import { judge, redStateNames, type Judgement } from './red-states.js';
import { sendNotice } from './send-notice.js';
import {
  createUntrackedNotices,
  handOver,
  tellCleared,
  tellRaised,
  type UntrackedNotices,
} from './untracked-notices.js';
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
  readonly times: NoticeTimes;
}

const defaults: AlertingSettings = {
  everyMs: 15_000,
  unseenMs: 40_000,
  presenceAfterMs: 150_000,
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
  readonly holds: Holds;
  readonly untracked: UntrackedNotices;
  readonly isDue: (kind: string) => boolean;
  /** How many lines the spool had dropped, and when. */
  readonly drops: { readonly at: number; readonly lines: number }[];
  /** What was found last; `undefined` before the first turn. */
  judgement: Judgement | undefined;
  /** While notices are being sent. */
  telling: Promise<void> | undefined;
  /** Open alerts as of the last turn with PostgreSQL. */
  open: readonly string[];
  /** When the table of the processes may be believed again; by a monotonic clock. */
  presenceFrom: number;
}

/**
 * Looks about every 15 seconds for what is red, until stopped; tells the operators on every channel when a state is raised and
 * when it is over, and calls the heartbeat URL each minute while nothing is. All processes do; through PostgreSQL they agree
 * on who tells what. While that is away each tells what it sees. Delivered at least once: a process that ends between the
 * delivery and the record of it leaves the notice to another.
 */
export function startAlerting(
  deps: AlertingDeps,
  settings: Partial<AlertingSettings> = {},
): Repeating {
  const alerting: Alerting = {
    deps,
    settings: { ...defaults, ...settings },
    holds: createHolds(),
    untracked: createUntrackedNotices(),
    isDue: createLogThrottle(SAME_WARNING_EVERY_MS),
    drops: [],
    judgement: undefined,
    telling: undefined,
    open: [],
    presenceFrom: 0,
  };
  deps.metrics.collect(['rollcall_red_state'], () => ({
    rollcall_red_state: alerting.judgement ? readingsOf(alerting.judgement) : [],
  }));
  const pauseMs = (): number => jittered(alerting.settings.everyMs, JITTER);
  const looking = startRepeating(
    async (signal) => {
      try {
        await lookOnce(alerting, signal);
      } catch (error) {
        warn(alerting, error);
      }
      return pauseMs();
    },
    pauseMs(),
    { unref: true },
  );
  return {
    runNow: looking.runNow,
    async stop() {
      await looking.stop();
      await alerting.telling;
    },
  };
}

/** What cannot be told is left out. */
const readingsOf = ({ red, unknown }: Judgement) =>
  redStateNames
    .filter((name) => !unknown.includes(name))
    .map((name) => ({
      labels: { name },
      value: red.some((state) => state.name === name) ? 1 : 0,
    }));

async function lookOnce(alerting: Alerting, signal: AbortSignal): Promise<void> {
  const { deps } = alerting;
  const facts = await readFacts({ ...deps, spool: () => spoolFacts(alerting) });
  if (signal.aborted) return;
  const judgement = judge(withBelievablePresence(alerting, facts));
  alerting.judgement = judgement;
  const believed = believe(alerting.holds, judgement);
  // While PostgreSQL is red for this process, it is the wrong place to say so.
  const reported = facts.checks['postgres']?.ok ? await report(alerting, believed) : undefined;
  if (reported) alerting.open = reported.open;
  // Not awaited: what others see may depend on this process's looking on in time.
  alerting.telling ??= tell(alerting, { judgement, believed, reported }, signal)
    .catch((error: unknown) => warn(alerting, error))
    .finally(() => (alerting.telling = undefined));
}

interface Findings {
  readonly judgement: Judgement;
  readonly believed: Believed;
  /** `undefined` when PostgreSQL is away. */
  readonly reported: Reported | undefined;
}

async function tell(
  alerting: Alerting,
  { judgement, believed, reported }: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { deps, untracked, open } = alerting;
  await tellCleared(untracked, untrackedDeps(deps), believed.fine, signal);
  if (reported) {
    await tellTracked(alerting, signal);
    if (isAllWell(judgement, reported)) await beat(alerting, signal);
  } else {
    const untold = believed.red.filter(({ name }) => !open.includes(name));
    await tellRaised(untracked, untrackedDeps(deps), untold, signal);
  }
}

const untrackedDeps = ({ queues, ...deps }: AlertingDeps) => ({ ...deps, isFirst: queues.isFirst });

/** `undefined` when PostgreSQL did not take it. */
async function report(alerting: Alerting, { red, fine }: Believed): Promise<Reported | undefined> {
  const { database, log } = alerting.deps;
  try {
    const reported = await reportStates(database, red, fine, alerting.settings.unseenMs);
    for (const { name, detail } of red)
      if (reported.raised.includes(name))
        log.error({ 'labels.alert': name, 'event.reason': detail }, 'alert raised');
    for (const name of reported.cleared) log.info({ 'labels.alert': name }, 'alert cleared');
    for (const [channel, names] of handOver(alerting.untracked, reported.open))
      await recordTold(database, channel, names);
    return reported;
  } catch (error) {
    warn(alerting, error);
    return undefined;
  }
}

function warn({ deps, isDue }: Alerting, error: unknown): void {
  // That PostgreSQL is down is logged by the readiness checks.
  if (isDatabaseUnavailable(error) || !isDue(String(error))) return;
  deps.log.warn({ err: error }, 'alerts not recorded');
}

/** Sends what is due on each channel and is for this process to send. */
async function tellTracked({ deps, settings }: Alerting, signal: AbortSignal): Promise<void> {
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

const isAllWell = ({ red, unknown }: Judgement, { open }: Reported): boolean =>
  red.length + unknown.length + open.length === 0;

/** Calls the heartbeat URL if nobody has within this minute. */
async function beat({ deps, isDue }: Alerting, signal: AbortSignal): Promise<void> {
  const { database, heartbeatUrl, log } = deps;
  if (heartbeatUrl === undefined || !(await claimHeartbeat(database))) return;
  try {
    await callUrl(heartbeatUrl, signal, { method: 'GET' });
  } catch (error) {
    if (isDue(`heartbeat: ${String(error)}`)) log.warn({ err: error }, 'heartbeat failed');
    await returnHeartbeat(database);
  }
}

/** Without the processes for a while after PostgreSQL was away: none could report itself. */
function withBelievablePresence(alerting: Alerting, facts: Facts): Facts {
  const now = performance.now();
  if (!facts.checks['postgres']?.ok)
    alerting.presenceFrom = now + alerting.settings.presenceAfterMs;
  return now < alerting.presenceFrom ? { ...facts, processes: undefined } : facts;
}

function spoolFacts({ deps, drops }: Alerting): SpoolFacts | undefined {
  const use = deps.spoolUse();
  if (!use) return undefined;
  const now = performance.now();
  drops.push({ at: now, lines: use.droppedLines });
  while (drops[1] && now - drops[1].at > RECENT_SECONDS * 1_000) drops.shift();
  return { ...use, recentlyDropped: use.droppedLines - (drops[0]?.lines ?? 0) };
}
