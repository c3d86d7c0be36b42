import { setMaxListeners } from 'node:events';
import type { WorkerOptions } from 'bullmq';
import { Worker } from 'bullmq/dist/cjs/classes/worker.js';
import type * as z from 'zod';
import { waitAtMost } from '../../shared/lifecycle/wait-at-most.js';
import { maskError } from '../../shared/logging/mask.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import { refusalOfConnection } from '../../shared/queues/connection-refusal.js';
import type { JobQueue } from '../../shared/queues/job-queue.js';
import { logRedisErrors } from '../../shared/queues/log-redis-errors.js';
import { isDemoted, reconnectDelayMs, redisAddress } from '../../shared/queues/redis-client.js';
import { isRefusal } from '../../shared/queues/redis-refusals.js';
import {
  queuePrefix,
  type ConsumerDefinition,
  type QueueName,
} from '../../shared/queues/registry.js';
import type { DependencyFaults } from './dependency-faults.js';
import { pauseOnRedisErrors } from './pause-on-redis-errors.js';
import { runJob, type JobProcessing } from './run-job.js';
import { startWatchdog } from './watchdog.js';
import { workerName } from './worker-name.js';

/** What the registry says of a queue's consumer, and the configuration of the rest. */
export type JobWorkerSettings = Required<ConsumerDefinition>;

/** Which jobs are processed, how, and with what. */
export interface JobWorkerOptions<S extends z.ZodType> extends JobProcessing<S> {
  readonly metrics: Pick<Metrics, 'observe' | 'count'>;
  readonly redisUrl: string;
  /** The producer's side of the queue: throttles it, and counts runnable jobs. */
  readonly producer: Pick<JobQueue, 'throttle' | 'countRunnable'>;
  readonly settings: JobWorkerSettings;
  /** The current limit of jobs at once, at least one; read after each job. `settings.concurrency` unless given. */
  readonly limit?: () => number;
  readonly faults: DependencyFaults;
  /** Called when the worker has stalled: only a new process helps. */
  readonly onStalled: () => void;
}

/** Consumes one queue until it is stopped. */
export interface JobWorker {
  /**
   * Takes no more jobs and waits for those in flight. Past the deadline their signal asks them to return to the queue.
   * Resolves when all have ended, or a few seconds after the deadline; soon even if Redis is gone,
   * to which it then never reconnects. Of several calls the earliest deadline counts.
   */
  stop(deadlineMs: number): Promise<void>;
}

/** A job that has stalled more often counts as poison: it may be what kills its workers. */
const MAX_STALLED_COUNT = 5;
const POLL_SECONDS = 5;
const MIN_RECONNECT_MS = 100;
/** A connection without any traffic for so long is dead. Longer than any wait for a job (10 s at most). */
const IDLE_TIMEOUT_MS = 30_000;
/** With Redis gone a BullMQ worker never closes: wait no longer than this for it once its jobs have ended. */
const CLOSE_WITHIN_MS = 1_000;
const RETURN_WITHIN_MS = 3_000;
const MAX_BACKOFF_MS = 15 * 60_000;

/**
 * Consumes one queue by {@link runJob}. Errors of Redis never end the process; a stalled consumer is reported.
 */
export function startJobWorker<S extends z.ZodType>(options: JobWorkerOptions<S>): JobWorker {
  const { jobs, log, producer, faults, onStalled } = options;
  const { queue } = jobs;
  const shutdown = new AbortController();
  const stopped = new AbortController();
  // One listener per job in flight: no leak.
  setMaxListeners(0, shutdown.signal);
  const inFlight = new Set<Promise<string>>();
  let lastTakenAt = performance.now();

  const worker = new Worker<unknown, string>(
    queue,
    (job, token) => {
      const task = runJob(options, job, token ?? '', shutdown.signal).finally(() =>
        inFlight.delete(task),
      );
      task.then(
        () => raiseConcurrency(1),
        () => raiseConcurrency(0),
      );
      inFlight.add(task);
      lastTakenAt = performance.now();
      return task;
    },
    workerOptions(options, stopped.signal),
  );
  const { settings, limit = () => settings.concurrency } = options;
  const raiseConcurrency = (by: number): void => {
    worker.concurrency = Math.min(worker.concurrency + by, limit());
  };
  worker.on('error', logRedisErrors(log, 'queue consumer Redis error', { 'labels.queue': queue }));
  reportRefusedConnections(worker, options.redisUrl);
  logStalledJobs(worker, queue, options);
  const refusals = pauseOnRedisErrors({ queue, worker, faults, log });
  const idleMs = (): number => (inFlight.size > 0 ? 0 : performance.now() - lastTakenAt);
  const watchdog = startWatchdog({ producer, idleMs, refusals, log, onStalled });

  let ended: Promise<void> | undefined;
  return {
    async stop(deadlineMs) {
      void watchdog.stop();
      ended ??= closeWorker(worker, inFlight);
      await endBy(deadlineMs, ended, shutdown);
      stopped.abort();
      // BullMQ does not get there while Redis is gone, and its timer would keep the process alive.
      await worker['lockManager'].close();
    },
  };
}

function workerOptions<S extends z.ZodType>(
  { jobs, redisUrl, settings }: JobWorkerOptions<S>,
  stopped: AbortSignal,
): WorkerOptions {
  return {
    connection: {
      ...redisAddress(redisUrl),
      maxRetriesPerRequest: null,
      // Null: no further attempt. BullMQ itself goes on for ever if Redis is gone while a worker closes.
      retryStrategy: (attempts) =>
        stopped.aborted ? null : Math.max(MIN_RECONNECT_MS, reconnectDelayMs(attempts)),
      reconnectOnError: isDemoted,
      socketTimeout: IDLE_TIMEOUT_MS,
    },
    prefix: queuePrefix(jobs.queue),
    name: workerName,
    concurrency: settings.firstConcurrency,
    limiter: settings.limiter,
    lockDuration: settings.lockDurationMs,
    stalledInterval: settings.stalledIntervalMs,
    maxStalledCount: MAX_STALLED_COUNT,
    drainDelay: POLL_SECONDS,
    maximumRateLimitDelay: 5_000,
    runRetryDelay: 2_000,
    settings: { backoffStrategy: backoffMs },
  };
}

/** Milliseconds to back off after so many attempts: full jitter under 1 s × 2ⁿ, at most 15 minutes. */
function backoffMs(attemptsMade: number): number {
  return Math.ceil(Math.random() * Math.min(MAX_BACKOFF_MS, 1_000 * 2 ** attemptsMade));
}

/** Logs jobs whose worker lost them. */
function logStalledJobs(
  worker: Worker<unknown, string>,
  queue: QueueName,
  { log, metrics }: Pick<JobWorkerOptions<z.ZodType>, 'log' | 'metrics'>,
): void {
  worker.on('stalled', (jobId) => {
    metrics.count('rollcall_job_stalled_total', { queue });
    log.warn({ 'labels.queue': queue, 'labels.job_id': jobId }, 'stalled job recovered');
  });
  worker.on('failed', (job, error) => {
    // Failed attempts are logged where they are made; this is a job that BullMQ failed by itself. It may be gone already.
    if (job === undefined || error.message.startsWith('job stalled')) {
      log.error(
        { 'labels.queue': queue, 'labels.job_id': job?.id, err: maskError(error) },
        'stalled job failed',
      );
    }
  });
}

/** Takes no more jobs; resolves when those in flight have ended. */
function closeWorker(
  worker: Worker<unknown, string>,
  inFlight: ReadonlySet<Promise<string>>,
): Promise<void> {
  let isClosed = false;
  const closed = worker.close().then(() => {
    isClosed = true;
  });
  const settled = async (): Promise<void> => {
    while (!isClosed && inFlight.size > 0)
      await Promise.race([closed, Promise.allSettled(inFlight)]);
    if (!isClosed) await waitAtMost(CLOSE_WITHIN_MS, closed);
    // A job that was being fetched may have begun meanwhile.
    if (!isClosed && inFlight.size > 0) await settled();
  };
  return settled();
}

/** Waits for the end of the jobs in flight; past the deadline it asks them to return to the queue. */
async function endBy(
  deadlineMs: number,
  ended: Promise<void>,
  shutdown: AbortController,
): Promise<void> {
  await waitAtMost(deadlineMs, ended);
  shutdown.abort();
  await waitAtMost(RETURN_WITHIN_MS, ended);
}

/** A worker whose connection Redis did not take only knows that it broke: asks why, for all who listen to its errors. */
function reportRefusedConnections(worker: Worker<unknown, string>, redisUrl: string): void {
  let isAsking = false;
  worker.on('error', (error) => {
    if (isAsking || isRefusal(error)) return;
    isAsking = true;
    void refusalOfConnection(redisAddress(redisUrl)).then((refusal) => {
      isAsking = false;
      if (refusal) worker.emit('error', refusal);
    });
  });
}
