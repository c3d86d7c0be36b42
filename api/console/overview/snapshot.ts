import { waitAtMost } from '../../../shared/lifecycle/wait-at-most.js';
import {
  readDeployMarks,
  readProcesses,
  type DeployMark,
  type Processes,
} from '../../../shared/presence/read-processes.js';
import { readRedStates, type RedStateReport } from '../../../shared/alerts/read-red-states.js';
import { readMinutes, type MinuteHistory } from '../../../shared/metrics/read-minutes.js';
import { DELAY_SECONDS } from '../../../shared/metrics/catalogue.js';
import { keptName } from '../../../shared/metrics/minutes.js';
import { readMailFlow, type MailFlow } from '../../ops/mail/mail-flow.service.js';
import { readOpenMessages, type OpenMessages } from '../../ops/mail/outbox-state.service.js';
import { waitingSeries } from '../../ops/mail/outbox-trend.service.js';
import { readQueueReports, type QueueReport } from '../../ops/queues.service.js';
import type { ConsoleDeps } from '../console-deps.js';

/** What was read last of one part of the service. */
export interface Part<T> {
  /** Undefined until it was read once. */
  readonly value: T | undefined;
  readonly readAt: Date | undefined;
  /** True when the last reading failed: the value is what was known before. */
  readonly hasFailed: boolean;
}

/** What the overview shows. */
export interface Snapshot {
  readonly outbox: Part<OpenMessages>;
  readonly flow: Part<MailFlow>;
  readonly queues: Part<readonly QueueReport[]>;
  readonly red: Part<RedStateReport>;
  readonly processes: Part<Processes>;
  readonly hour: Part<MinuteHistory>;
  readonly day: Part<MinuteHistory>;
  readonly marks: Part<readonly DeployMark[]>;
}

type PartName = keyof Snapshot;

/** The buckets of a histogram of delays, in the order of {@link DELAY_SECONDS}; the last one is of longer delays. */
const delayBuckets = (name: string): string[] =>
  [...DELAY_SECONDS, '+Inf'].map((le) => keptName(`${name}_bucket`, { le: String(le) }));

/** The series that the overview's charts and figures are made of. */
export const series = {
  sent: keptName('mail_outcomes', { outcome: 'sent' }),
  deferred: keptName('mail_outcomes', { outcome: 'deferred' }),
  dead: keptName('mail_outcomes', { outcome: 'dead' }),
  mailDelay: delayBuckets('mail_delay'),
  bounced: keptName('mail_events', { event: 'bounced' }),
  requests: ['2xx', '3xx', '4xx', '5xx'].map((status) =>
    keptName('http_requests_count', { status }),
  ),
  failedRequests: keptName('http_requests_count', { status: '5xx' }),
  oldest: keptName('outbox_oldest_seconds', { state: 'open' }),
  waiting: waitingSeries,
  logsShipped: keptName('firehose_records', { result: 'accepted' }),
  logLag: delayBuckets('log_lag'),
  logsDropped: 'log_lines_dropped',
  spoolBytes: 'spool_bytes',
} as const;

const seriesNames = [...new Set(Object.values(series).flat())];

/** How old a part may be that a page shows, in milliseconds: what changes slowly and costs more is read less often. */
const MAX_AGE_MS: Readonly<Record<PartName, number>> = {
  outbox: 2_500,
  queues: 2_500,
  flow: 5_000,
  red: 5_000,
  processes: 5_000,
  hour: 15_000,
  day: 60_000,
  marks: 60_000,
};
/** Maximum time a page waits for a part; then it shows what was known before, and says so. */
const MAX_WAIT_MS = 1_500;
/** The same when a recent value exists. */
const MAX_WAIT_WITH_RECENT_MS = 150;
const RECENT_MS = 15_000;
const DAY_SECONDS = 86_400;

/** Reads what pages show, once for all who look at the same time. */
export interface Snapshots {
  /** Never rejects; takes a second and a half at most. */
  read(): Promise<Snapshot>;
}

export function createSnapshots(deps: ConsoleDeps): Snapshots {
  const { database } = deps;
  const parts = {
    outbox: keep(MAX_AGE_MS.outbox, () => readOpenMessages(deps)),
    flow: keep(MAX_AGE_MS.flow, () => readMailFlow(deps)),
    queues: keep(MAX_AGE_MS.queues, () => readQueueReports(deps)),
    red: keep(MAX_AGE_MS.red, () => readRedStates(deps)),
    processes: keep(MAX_AGE_MS.processes, () => readProcesses(database)),
    hour: keep(MAX_AGE_MS.hour, () => readMinutes(database, 'hour', seriesNames)),
    day: keep(MAX_AGE_MS.day, () => readMinutes(database, 'day', seriesNames)),
    marks: keep(MAX_AGE_MS.marks, () => readDeployMarks(database, DAY_SECONDS)),
  };
  return {
    async read() {
      const read = await Promise.all(
        Object.entries(parts).map(async ([name, part]) => [name, await part()] as const),
      );
      return Object.fromEntries(read) as unknown as Snapshot;
    },
  };
}

/** Reads a part when it is too old and nobody is reading it; keeps what was read before it failed. */
function keep<T>(maxAgeMs: number, read: () => Promise<T>): () => Promise<Part<T>> {
  let part: Part<T> = { value: undefined, readAt: undefined, hasFailed: false };
  let triedAt = -Infinity;
  let reading: Promise<void> | undefined;

  async function refresh(): Promise<void> {
    try {
      part = { value: await read(), readAt: new Date(), hasFailed: false };
    } catch {
      // Why is among the red states; each dependency has its check, which logs.
      part = { ...part, hasFailed: true };
    }
    triedAt = performance.now();
    reading = undefined;
  }

  return async () => {
    if (performance.now() - triedAt >= maxAgeMs) reading ??= refresh();
    if (!reading) return part;
    const isRecent = part.readAt !== undefined && Date.now() - part.readAt.getTime() < RECENT_MS;
    const maxWaitMs = isRecent ? MAX_WAIT_WITH_RECENT_MS : MAX_WAIT_MS;
    const isRead = await waitAtMost(
      maxWaitMs,
      reading.then(() => true),
    );
    return !isRead && !isRecent ? { ...part, hasFailed: true } : part;
  };
}
