import { once } from 'node:events';
import type { WorkerConfig } from '../../shared/config/config.js';
import type { Database } from '../../shared/database/connect.js';
import { startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import { createLogThrottle } from '../../shared/logging/log-throttle.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import type { RecordSink } from '../logs/record-sink.port.js';
import { mailsPerSecond } from '../mail/smtp/smtp.mailer.js';
import type { CloudWatch, MetricValue } from './cloudwatch.port.js';
import { readLastMinute, type LastMinute } from './last-minute.js';
import { metricValue } from './published-metrics.js';
import { scalableWork, type WorkFacts } from './scalable-work.js';
import { readStores, type StoresNow } from './stores-now.js';
import { lineFacts, mailFacts } from './work-facts.js';

export interface PublishingDeps {
  readonly cloudWatch: CloudWatch;
  readonly database: Database;
  /** With the stores collected. */
  readonly metrics: Metrics;
  readonly log: Logger;
  /** What this worker knows: the rate of mails, the stream, the outbox. */
  readonly roles: WorkerConfig['roles'];
  readonly mail: Pick<WorkerConfig['mail'], 'ratePerSecond' | 'connections'>;
  readonly sink: RecordSink | undefined;
}

const MINUTE_MS = 60_000;
/** Processes write what they counted up to ten seconds after each full minute (presence.ts). */
const AFTER_MINUTE_MS = 20_000;
const JITTER_MS = 5_000;
/** Soon, so that a missing permission shows when a worker starts. */
const FIRST_AFTER_MS = 1_000;
const CALL_TIMEOUT_MS = 15_000;
const SAME_FAILURE_EVERY_MS = 600_000;

/** When it is published. */
export interface PublishingTimes {
  readonly firstMs: number;
  /** Milliseconds until the next publication. */
  readonly untilNextMs: () => number;
}

const defaults: PublishingTimes = {
  firstMs: FIRST_AFTER_MS,
  untilNextMs: () =>
    MINUTE_MS - ((Date.now() - AFTER_MINUTE_MS) % MINUTE_MS) + JITTER_MS * Math.random(),
};

/**
 * Publishes once a minute what the scaling policy and the alarms in CloudWatch need, each value as all workers see it: their
 * statistic is the maximum. Never disturbs the worker: a failure is counted, logged now and then, and not retried, since the
 * next minute has values of its own. Stops at once, whatever is under way.
 */
export function startPublishing(
  deps: PublishingDeps,
  { firstMs, untilNextMs }: PublishingTimes = defaults,
): Repeating {
  const isDue = createLogThrottle(SAME_FAILURE_EVERY_MS);
  const run = async (stopping: AbortSignal): Promise<number> => {
    const done = new AbortController();
    const aborted = once(stopping, 'abort', { signal: done.signal }).catch(() => undefined);
    // Pending queries are not awaited.
    await Promise.race([publish(deps, isDue, stopping), aborted]);
    done.abort();
    return untilNextMs();
  };
  return startRepeating(run, firstMs, { unref: true });
}

/** Never rejects. */
async function publish(
  deps: PublishingDeps,
  isDue: (kind: string) => boolean,
  stopping: AbortSignal,
): Promise<void> {
  const { cloudWatch, metrics, log } = deps;
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
  try {
    const values = await readValues(deps);
    if (values.length === 0 && !readsOutbox(deps)) return;
    if (values.length === 0) throw new Error('PostgreSQL did not answer in time');
    await cloudWatch.put(values, signal);
    metrics.count('rollcall_cloudwatch_publications_total', { result: 'published' });
  } catch (error) {
    if (stopping.aborted) return;
    metrics.count('rollcall_cloudwatch_publications_total', { result: 'failed' });
    if (isDue(String(error))) log.warn({ err: error }, 'metrics not published to CloudWatch');
  }
}

/** The state of the outbox is part of what these roles tell. */
const readsOutbox = ({ roles }: PublishingDeps): boolean =>
  roles.includes('mail') || roles.includes('relay');

/**
 * What this worker can tell, by its roles. What cannot be read is left out: without a value the policy neither adds nor
 * removes workers. @throws when PostgreSQL does not answer.
 */
async function readValues(deps: PublishingDeps): Promise<MetricValue[]> {
  const [minute, stores] = await Promise.all([
    readLastMinute(deps.database),
    readStores(deps.metrics),
  ]);
  return [...scalingValues(deps, minute, stores), ...alarmValues(deps, minute, stores)];
}

function scalingValues(
  { roles, mail, sink }: PublishingDeps,
  minute: LastMinute,
  { outbox, queue }: StoresNow,
): MetricValue[] {
  const facts: WorkFacts[] = [];
  if (roles.includes('mail')) {
    if (!outbox) return [];
    const capacity = {
      workerPerSecond: mailsPerSecond(mail),
      limitPerSecond: mail.ratePerSecond,
    };
    facts.push(mailFacts(outbox, queue('mail'), minute, capacity));
  }
  if (roles.includes('logs') && sink) facts.push(lineFacts(queue('logs'), minute));
  if (facts.length === 0) return [];
  const { workersNeeded, isHeld } = scalableWork(facts);
  return [metricValue('WorkersNeeded', workersNeeded), metricValue('WorkHeld', isHeld ? 1 : 0)];
}

function alarmValues(
  { roles, sink }: PublishingDeps,
  minute: LastMinute,
  { outbox }: StoresNow,
): MetricValue[] {
  const values: MetricValue[] = [];
  if (roles.includes('relay') && outbox) {
    const { pending, enqueued, dead, uncertain } = outbox.messages;
    values.push(
      metricValue('OutboxOldestSeconds', outbox.oldestSeconds),
      metricValue('OutboxMessages', pending + enqueued),
      metricValue('DeadLetters', dead + uncertain),
    );
  }
  if (roles.includes('logs') && sink)
    values.push(metricValue('LogLinesDropped', minute.valueOf('log_lines_dropped')));
  return values;
}
