import { createAudit } from '../shared/audit/audit.js';
import type { WorkerConfig } from '../shared/config/config.js';
import { deriveKeyRing } from '../shared/crypto/keys.js';
import { openDatabase, type Database } from '../shared/database/connect.js';
import type { Check } from '../shared/health/checks.js';
import { workerRights } from '../shared/database/rights.js';
import { commonChecks } from '../shared/health/readiness.js';
import { createFailpoint, type Failpoint } from '../shared/lifecycle/failpoint.js';
import type { Lifecycle } from '../shared/lifecycle/lifecycle.js';
import type { Logger } from '../shared/logging/logger.js';
import { createMetrics, type Metrics } from '../shared/metrics/metrics.js';
import { openTracer } from '../shared/tracing/open-tracer.js';
import type { Tracer } from '../shared/tracing/tracer.js';
import { openQueues, type Queues } from '../shared/queues/queues.js';
import type { CloudWatch } from './cloudwatch/cloudwatch.port.js';
import { createDependencyFaults, type DependencyFaults } from './jobs/dependency-faults.js';
import { workerName } from './jobs/worker-name.js';
import { measuredSink } from './logs/measured-sink.js';
import type { RecordSink } from './logs/record-sink.port.js';
import type { ComposeDeps } from './mail/mails/composition.js';
import type { Mailer } from './mail/mail.port.js';
import { measuredMailer } from './mail/measured-mailer.js';
import { createSesEvents, type SesEvents } from './mail/ses-events/ses-events.js';
import { createSnsVerifier, fetchCertificate } from './mail/ses-events/sns-signature.js';
import { openSmtpMailer } from './mail/smtp/smtp.mailer.js';
import { createSweep, type Sweep } from './relay/sweep.js';
import { createTaskRuns, recordSweeps } from './tasks/task-runs.js';
import { createTasks, type Tasks } from './tasks/tasks.js';

export interface WorkerDeps {
  readonly log: Logger;
  /** Writes to stdout only: for everything that shipping logs depends on. */
  readonly localLog: Logger;
  readonly metrics: Metrics;
  /** Absent where traces are not exported. */
  readonly tracer: Tracer | undefined;
  readonly database: Database;
  readonly queues: Queues;
  readonly failpoint: Failpoint;
  readonly faults: DependencyFaults;
  readonly mailer: Mailer;
  readonly composeDeps: ComposeDeps;
  /** Absent when logs go to stdout alone. */
  readonly sink: RecordSink | undefined;
  /** Absent when no metrics are published. */
  readonly cloudWatch: CloudWatch | undefined;
  readonly sesEvents: SesEvents;
  readonly sweep: Sweep;
  readonly tasks: Tasks;
  readonly checks: Readonly<Record<string, Check>>;
}

/** Opens the worker's resources, registers the release of each, and builds the services over them. Connects lazily. */
export async function buildDeps(
  config: WorkerConfig,
  { log, localLog, onStop }: { log: Logger; localLog: Logger; onStop: Lifecycle['onStop'] },
): Promise<WorkerDeps> {
  const tracer = await openTracer(config, 'rollcall-worker', localLog);
  if (tracer) onStop('traces', () => tracer.close());
  const database = openDatabase(config.database, 'rollcall-worker');
  onStop('database', () => database.close());
  const queues = openQueues(config.redis, localLog);
  onStop('queues', () => queues.close());
  const metrics = createMetrics('worker');
  const mailer = measuredMailer(openSmtpMailer(config.mail, log), metrics);
  onStop('mailer', () => mailer.close());
  const sink = config.firehose && measuredSink(await openSink(config.firehose), metrics);
  if (sink) onStop('record sink', () => sink.close());

  const cloudWatch = config.cloudWatch && (await openCloudWatch(config.cloudWatch));
  if (cloudWatch) onStop('CloudWatch', () => cloudWatch.close());

  const faults = createDependencyFaults();
  const runs = createTaskRuns({ database, log, worker: workerName });
  const sweep = recordSweeps(
    createSweep({
      database,
      queue: queues.mail,
      repairLogs: () => queues.repairLogs(),
      metrics,
      log,
    }),
    runs,
  );
  return {
    log,
    localLog,
    metrics,
    tracer,
    database,
    queues,
    mailer,
    sink,
    cloudWatch,
    sesEvents: createSesEvents({
      database,
      audit: createAudit(log),
      verifier: createSnsVerifier(fetchCertificate),
      topicArn: config.sesTopicArn,
      metrics,
      log,
    }),
    sweep,
    failpoint: createFailpoint(config.failpoint),
    faults,
    checks: { ...commonChecks(database, queues, log, workerRights), ...faults.checks },
    tasks: createTasks({ database, sweep, runs, log }),
    composeDeps: {
      service: config.mail.from.name,
      publicUrl: config.publicUrl,
      confirmationKeys: deriveKeyRing(config.secrets, 'confirmation'),
    },
  };
}

/** Loads the AWS SDK only where logs are shipped. */
async function openSink(config: NonNullable<WorkerConfig['firehose']>): Promise<RecordSink> {
  const { openFirehoseSink } = await import('./logs/firehose.sink.js');
  return openFirehoseSink(config);
}

/** Loads the AWS SDK only where metrics are published. */
async function openCloudWatch(
  config: NonNullable<WorkerConfig['cloudWatch']>,
): Promise<CloudWatch> {
  const { openCloudWatchClient } = await import('./cloudwatch/cloudwatch.client.js');
  return openCloudWatchClient(config);
}
