import type { WorkerConfig } from '../shared/config/config.js';
import { shipLogBatch } from '../shared/jobs/ship-log-batch.js';
import { QUEUE_CONSUMER_STALLED, type Lifecycle } from '../shared/lifecycle/lifecycle.js';
import { outboxJobs } from '../shared/outbox/outbox-job.js';
import {
  queueNames,
  queueRegistry,
  redisUrlOf,
  type QueueName,
} from '../shared/queues/registry.js';
import type { WorkerDeps } from './deps.js';
import type { Drain } from './jobs/drain.js';
import { evenRateLimiter } from './jobs/even-rate-limiter.js';
import { startRecoveryChecks } from './jobs/recovery-checks.js';
import { startJobWorker, type JobWorker } from './jobs/start-worker.js';
import { workerName } from './jobs/worker-name.js';
import { firehoseFault } from './logs/firehose-fault.js';
import { createShipLogBatch } from './logs/ship-log-batch.processor.js';
import { createMailBreaker } from './mail/delivery/circuit-breaker.js';
import { createConnectionLimit } from './mail/smtp/connection-limit.js';
import { createDeliverMail } from './mail/delivery/deliver-mail.processor.js';
import { mailServerFaults } from './mail/delivery/mail-server-faults.js';
import { mailsInFlight } from './mail/delivery/send-slots.js';
import { smtpConnections } from './mail/smtp/smtp.mailer.js';
import { startRelay } from './relay/relay.js';
import { startSweeping } from './relay/sweep.js';
import { startRequestedTasks } from './tasks/requested-tasks.js';
import { startHousekeeping } from './tasks/tasks.js';

/**
 * How long jobs in flight may take at shutdown before they are returned to the queue. That (3 s), closing HTTP (1 s),
 * shipping the last log lines (2 s) and closing resources follow, all within the 25 s that the process has.
 */
const DRAIN_DEADLINE_MS = 16_000;

/**
 * A killed worker's claims expire after so long; until then a job that is found again waits. A claim is renewed while the
 * mail server's answer is awaited (`claim-keeper.ts`).
 */
const CLAIM_MS = 30_000;

/** What stops with the roles. */
interface Part {
  stop(deadlineMs: number): Promise<void>;
}

interface ConsumerStart {
  readonly config: WorkerConfig;
  readonly deps: WorkerDeps;
  /** Takes what runs beside the consumer, and goes on while that is drained. */
  readonly parts: Part[];
  readonly onStalled: () => void;
}

/** Starts the consumer of one queue; undefined when the configuration leaves it nothing to do. */
type StartConsumer = (start: ConsumerStart) => JobWorker | undefined;

const consumers = {
  mail: startMailConsumer,
  logs: startLogConsumer,
} satisfies Readonly<Record<QueueName, StartConsumer>>;

/** Starts the roles of this worker. At shutdown all stop concurrently: draining needs the whole time. */
export function startRoles(
  config: WorkerConfig,
  deps: WorkerDeps,
  { onStop, stop }: Pick<Lifecycle, 'onStop' | 'stop'>,
  drain: Pick<Drain, 'add'>,
): void {
  const onStalled = (): void => void stop(QUEUE_CONSUMER_STALLED, 1);
  const parts: Part[] = [deps.tasks];
  onStop('roles', async () => {
    const ends = await Promise.allSettled(parts.map((part) => part.stop(DRAIN_DEADLINE_MS)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  });
  for (const name of queueNames) {
    if (!config.roles.includes(queueRegistry[name].role)) continue;
    const consumer = consumers[name]({ config, deps, parts, onStalled });
    if (!consumer) continue;
    parts.push(consumer);
    drain.add(consumer);
  }
  if (config.roles.includes('relay')) parts.push(...startRelaying(deps));
}

/** What every consumer needs, by its queue. */
const consumerOf = (name: QueueName, { config, deps, onStalled }: ConsumerStart) => ({
  redisUrl: redisUrlOf(name, config.redis),
  producer: deps.queues[name],
  faults: deps.faults,
  metrics: deps.metrics,
  onStalled,
});

function startMailConsumer(start: ConsumerStart): JobWorker {
  const { mail, rateLimitScale } = start.config;
  const { database, composeDeps, mailer, faults, failpoint, metrics, log, tracer } = start.deps;
  const maxConnections = smtpConnections(mail);
  const connections = createConnectionLimit(maxConnections, (limit) => {
    const fields = { 'labels.connections': limit };
    if (limit < maxConnections) log.warn(fields, 'SMTP connections reduced');
    else log.info(fields, 'SMTP connections restored');
  });
  const breaker = createMailBreaker({ faults, metrics, log });
  start.parts.push(startRecoveryChecks(mailServerFaults({ database, faults, breaker }), log));
  return startJobWorker({
    ...consumerOf('mail', start),
    jobs: outboxJobs,
    process: createDeliverMail({
      ...composeDeps,
      database,
      rateLimitScale,
      mailer,
      connections,
      breaker,
      faults,
      failpoint,
      metrics,
      log,
      worker: workerName,
      claimMs: CLAIM_MS,
      tracing: tracer && { tracer, server: mail },
    }),
    settings: {
      ...queueRegistry.mail.consumer,
      concurrency: mailsInFlight(maxConnections),
      // Counts over all workers, as the provider does.
      limiter: evenRateLimiter(mail.ratePerSecond),
    },
    limit: () => mailsInFlight(connections.current()),
    log,
    successLevel: 'info',
  });
}

/** Without a stream to ship to there is no log consumer. */
function startLogConsumer(start: ConsumerStart): JobWorker | undefined {
  const { queues, sink, faults, metrics, localLog, tracer } = start.deps;
  if (!sink) return undefined;
  const { receipts } = queues;
  start.parts.push(startRecoveryChecks([firehoseFault({ receipts, faults })], localLog));
  return startJobWorker({
    ...consumerOf('logs', start),
    jobs: shipLogBatch,
    process: createShipLogBatch({
      sink,
      receipts,
      faults,
      metrics,
      localLog,
      tracer,
    }),
    settings: queueRegistry.logs.consumer,
    log: localLog,
    successLevel: 'debug',
  });
}

function startRelaying(deps: WorkerDeps) {
  const { database, queues, sweep, tasks, faults, failpoint, metrics, log, tracer } = deps;
  const sweeping = startSweeping(sweep, log);
  return [
    startHousekeeping(tasks, log),
    startRequestedTasks({ database, tasks, log }),
    sweeping,
    startRelay({
      database,
      queues,
      faults,
      failpoint,
      metrics,
      log,
      tracer,
      onDataLoss: () => sweeping.everything(),
    }),
  ];
}
