import type { WorkerConfig } from '../shared/config/config.js';
import { shipLogBatch } from '../shared/jobs/index.js';
import type { Lifecycle } from '../shared/lifecycle/lifecycle.js';
import type { Repeating } from '../shared/lifecycle/repeat.js';
import { OutboxJobData } from '../shared/outbox/outbox-job.js';
import type { WorkerDeps } from './deps.js';
import { evenRate } from './jobs/even-rate.js';
import {
  startJobWorker,
  workerName,
  type JobWorker,
  type JobWorkerSettings,
} from './jobs/start-worker.js';
import { createShipLogBatch } from './logs/ship-log-batch.processor.js';
import { createConnectionLimit } from './mail/smtp/connection-limit.js';
import { createDeliverMail } from './mail/delivery/deliver-mail.processor.js';
import { smtpConnections } from './mail/smtp/smtp.mailer.js';
import { startRelay } from './relay/relay.js';
import { startSweeping } from './relay/sweep.js';
import { startHousekeeping } from './tasks/housekeeping.js';

/**
 * How long work under way is waited for before it is handed back. That (3 s), the end of HTTP (1 s), the last log lines
 * (2 s) and closing what is open follow, all of it within the 25 s that the process has.
 */
const DRAIN_DEADLINE_MS = 16_000;

/**
 * A killed worker's mails go on within about 30 s: its locks are gone after 20 s at the latest, then the next two looks
 * for lost jobs find them; its claims run out after 30 s, and a job that comes back sooner waits for the rest of that.
 * A claim is renewed for as long as the server's answer is waited for (`claim-keeper.ts`).
 */
const CLAIM_MS = 30_000;
const mailSettings: Omit<JobWorkerSettings, 'concurrency' | 'limiter'> = {
  // What is short-lived, for whatever reason, takes little with it.
  firstConcurrency: 1,
  lockDurationMs: 20_000,
  stalledIntervalMs: 5_000,
};

const logSettings: JobWorkerSettings = {
  concurrency: 4,
  firstConcurrency: 4,
  // What Firehose takes per second on one stream by default; without a limiter the queue could not be throttled.
  limiter: { max: 1_000, duration: 1_000 },
  lockDurationMs: 30_000,
  stalledIntervalMs: 15_000,
};

/** Starts what this worker is meant to do. At stop all parts end side by side: draining needs the time that there is. */
export function startRoles(
  config: WorkerConfig,
  deps: WorkerDeps,
  { onStop, stop }: Pick<Lifecycle, 'onStop' | 'stop'>,
): void {
  const onSilent = (): void => void stop('queue consumer stalled', 1);
  const parts: { stop(deadlineMs: number): Promise<void> }[] = [deps.tasks];
  onStop('roles', async () => {
    const ends = await Promise.allSettled(parts.map((part) => part.stop(DRAIN_DEADLINE_MS)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  });
  if (config.roles.includes('logs') && deps.sink)
    parts.push(startLogWorker(config, deps, deps.sink, onSilent));
  if (config.roles.includes('mail')) parts.push(startMailWorker(config, deps, onSilent));
  if (config.roles.includes('relay')) parts.push(...startRelaying(deps));
}

function startMailWorker(
  config: WorkerConfig,
  { queues, composeDeps, mailer, faults, failpoint, log }: WorkerDeps,
  onSilent: () => void,
): JobWorker {
  const most = smtpConnections(config.mail);
  const connections = createConnectionLimit(most, (limit) => {
    const fields = { 'labels.connections': limit };
    if (limit < most) log.warn(fields, 'SMTP connections reduced');
    else log.info(fields, 'SMTP connections restored');
  });
  return startJobWorker({
    queue: 'mail',
    redisUrl: config.redis.url,
    producer: queues.mail,
    schema: OutboxJobData,
    process: createDeliverMail({
      ...composeDeps,
      mailer,
      connections,
      faults,
      failpoint,
      log,
      worker: workerName,
      claimMs: CLAIM_MS,
    }),
    // The limiter counts over all workers, as the provider does.
    settings: {
      ...mailSettings,
      concurrency: most,
      limiter: evenRate(config.mail.ratePerSecond),
    },
    limit: connections.current,
    faults,
    log,
    onSilent,
    successLevel: 'info',
  });
}

function startLogWorker(
  config: WorkerConfig,
  { queues, faults, localLog }: WorkerDeps,
  sink: NonNullable<WorkerDeps['sink']>,
  onSilent: () => void,
): JobWorker {
  return startJobWorker({
    queue: 'logs',
    redisUrl: config.redis.logsUrl,
    producer: queues.logs,
    schema: shipLogBatch.schema,
    process: createShipLogBatch({ sink, receipts: queues.receipts, faults, localLog }),
    settings: logSettings,
    faults,
    log: localLog,
    onSilent,
    successLevel: 'debug',
  });
}

function startRelaying({
  database,
  queues,
  sweep,
  tasks,
  failpoint,
  log,
}: WorkerDeps): Pick<Repeating, 'stop'>[] {
  const sweeping = startSweeping(sweep, log);
  return [
    startHousekeeping(tasks, log),
    sweeping,
    startRelay({ database, queues, failpoint, log, onDataLoss: () => sweeping.everything() }),
  ];
}
