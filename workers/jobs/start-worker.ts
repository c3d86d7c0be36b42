import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker, type Job, type RateLimiterOptions, type WorkerOptions } from 'bullmq';
import type * as z from 'zod';
import { isOtherVersion, type QueueName } from '../../shared/jobs/define-job.js';
import type { Logger } from '../../shared/logging/logger.js';
import { createLogThrottle } from '../../shared/logging/log-throttle.js';
import { queuePrefix, type JobQueue } from '../../shared/queues/job-queue.js';
import { hasAttempts } from '../../shared/queues/job-state.js';
import { isDemoted, reconnectDelayMs, redisAddress } from '../../shared/queues/redis-client.js';
import { maskError } from '../mask.js';
import { queueErrorFor, logLineFor } from './failed-try.js';
import type { FaultBoard } from './fault-board.js';
import { PermanentFailure } from './job-effects.js';
import { pauseOnRedisErrors } from './pause-on-redis-errors.js';
import { startWatchdog } from './watchdog.js';

/** What a processor is told about the try that it makes, and what it may do besides the work. */
export interface JobContext {
  readonly jobId: string;
  /** No further try follows if this one fails. */
  readonly isLastAttempt: boolean;
  /** Aborts when the process is about to end: what has had no effect yet should be handed back. */
  readonly signal: AbortSignal;
  /** Adds fields to the one line that is logged about this try. */
  annotate(fields: Readonly<Record<string, unknown>>): void;
  /** The next try finds this in the job instead. */
  replaceData(data: Readonly<Record<string, unknown>>): Promise<void>;
}

/** Does a job's work. Resolves to a word that says how it went; fails as in `job-effects.ts`. */
export type Processor<D> = (data: D, context: JobContext) => Promise<string>;

/** How quickly a queue is worked and how quickly a dead worker is noticed. */
export interface JobWorkerSettings {
  /** Jobs at once, at most. */
  readonly concurrency: number;
  /** Jobs at once of a worker that has just started; each that goes well makes room for one more. */
  readonly firstConcurrency: number;
  /** Jobs per duration over all workers of the queue. Without one the queue cannot be throttled either. */
  readonly limiter: RateLimiterOptions;
  /** A worker that is silent for so long has lost its jobs. It renews its locks twice as often. */
  readonly lockDurationMs: number;
  /** How often lost jobs are looked for. Twice this and the lock's time is the longest that a crash delays a job. */
  readonly stalledIntervalMs: number;
}

/** What a job worker is made of. */
export interface JobWorkerOptions<S extends z.ZodType> {
  readonly queue: QueueName;
  readonly redisUrl: string;
  /** The same queue's producing end: throttles it, and knows what waits. */
  readonly producer: Pick<JobQueue, 'rateLimit' | 'countRunnable'>;
  /** What every job's data must be. */
  readonly schema: S;
  readonly process: Processor<z.output<S>>;
  readonly settings: JobWorkerSettings;
  /** Jobs at once as of now, at least one; asked after each job. `settings.concurrency` unless given. */
  readonly limit?: () => number;
  readonly faults: FaultBoard;
  readonly log: Logger;
  /** Called when the worker has become deaf: only a new process helps. */
  readonly onSilent: () => void;
  /** The level of the line about a try that went well. */
  readonly successLevel: 'info' | 'debug';
}

/** Takes jobs of one queue until it is stopped. */
export interface JobWorker {
  /**
   * Takes no more jobs and waits for those under way. Past the deadline they are asked to hand themselves back.
   * Resolves when all have ended, or a few seconds after the deadline; soon even if Redis is gone.
   */
  stop(deadlineMs: number): Promise<void>;
}

/** How this process is called in jobs and deliveries. */
export const workerName = `${hostname()}:${process.pid}`;

/** A worker that dies takes its jobs with it this often before they count as poison. */
const MAX_STALLED_COUNT = 5;
const POLL_SECONDS = 5;
const MIN_RECONNECT_MS = 100;
/** A connection on which nothing comes back for so long is dead. Longer than any wait for a job (10 s at most). */
const SILENT_AFTER_MS = 30_000;
/** With Redis gone the worker never closes: nobody waits longer than this for it once its jobs have ended. */
const CLOSE_WITHIN_MS = 1_000;
const HAND_BACK_WITHIN_MS = 3_000;
const MAX_BACKOFF_MS = 15 * 60_000;
const SAME_ERROR_EVERY_MS = 60_000;

/**
 * Works one queue: reads each job by its schema, logs one line per try, and turns what a processor throws into what
 * BullMQ understands. Errors of Redis never end the process. What reaches Redis as a reason is masked.
 */
export function startJobWorker<S extends z.ZodType>(options: JobWorkerOptions<S>): JobWorker {
  const { queue, log, producer, faults, onSilent } = options;
  const handBack = new AbortController();
  // As many listeners as jobs: nothing leaks.
  setMaxListeners(0, handBack.signal);
  const inFlight = new Set<Promise<string>>();
  let lastTakenAt = performance.now();

  const worker = new Worker<unknown, string>(
    queue,
    (job, token) => {
      const task = runJob(options, job, token ?? '', handBack.signal).finally(() =>
        inFlight.delete(task),
      );
      task.then(
        () => takeJobs(1),
        () => takeJobs(0),
      );
      inFlight.add(task);
      lastTakenAt = performance.now();
      return task;
    },
    workerOptions(options),
  );
  const { settings, limit = () => settings.concurrency } = options;
  const takeJobs = (more: number): void => {
    worker.concurrency = Math.min(worker.concurrency + more, limit());
  };
  worker.on('error', throttledWarning(log, queue));
  logStalledJobs(worker, queue, log);
  const refusals = pauseOnRedisErrors({ queue, worker, faults, log });
  const idleMs = (): number => (inFlight.size > 0 ? 0 : performance.now() - lastTakenAt);
  const watchdog = startWatchdog({ producer, idleMs, refusals, log, onSilent });

  let stopping: Promise<void> | undefined;
  return {
    stop(deadlineMs) {
      void watchdog.stop();
      return (stopping ??= stopWorker(worker, inFlight, handBack, deadlineMs));
    },
  };
}

function workerOptions<S extends z.ZodType>({
  queue,
  redisUrl,
  settings,
}: JobWorkerOptions<S>): WorkerOptions {
  return {
    connection: {
      ...redisAddress(redisUrl),
      maxRetriesPerRequest: null,
      retryStrategy: (tries) => Math.max(MIN_RECONNECT_MS, reconnectDelayMs(tries)),
      reconnectOnError: isDemoted,
      socketTimeout: SILENT_AFTER_MS,
    },
    prefix: queuePrefix(queue),
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

/** Logs the jobs that their worker did not bring to an end. */
function logStalledJobs(worker: Worker<unknown, string>, queue: QueueName, log: Logger): void {
  worker.on('stalled', (jobId) => {
    log.warn({ 'labels.queue': queue, 'labels.job_id': jobId }, 'stalled job recovered');
  });
  worker.on('failed', (job, error) => {
    // Tries are logged where they are made; this is a job that the queue gave up by itself. It may be gone already.
    if (job === undefined || error.message.startsWith('job stalled')) {
      log.error(
        { 'labels.queue': queue, 'labels.job_id': job?.id, err: maskError(error) },
        'stalled job failed',
      );
    }
  });
}

/** Milliseconds before the try after this many: full jitter under 1 s × 2ⁿ, at most 15 minutes. */
function backoffMs(attemptsMade: number): number {
  return Math.ceil(Math.random() * Math.min(MAX_BACKOFF_MS, 1_000 * 2 ** attemptsMade));
}

async function runJob<S extends z.ZodType>(
  { queue, schema, process: work, producer, log, successLevel }: JobWorkerOptions<S>,
  job: Job<unknown, string>,
  token: string,
  signal: AbortSignal,
): Promise<string> {
  const startedAt = process.hrtime.bigint();
  const fields: Record<string, unknown> = {
    'labels.queue': queue,
    'labels.job': job.name,
    'labels.job_id': job.id,
    'labels.attempt': job.attemptsMade + 1,
  };
  const duration = (): number => Number(process.hrtime.bigint() - startedAt);
  const context: JobContext = {
    jobId: job.id ?? '',
    isLastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? 1),
    signal,
    annotate: (more) => void Object.assign(fields, more),
    replaceData: (data) => job.updateData(data),
  };
  try {
    const result = await work(parseData(schema, job), context);
    log[successLevel](
      {
        ...fields,
        'event.outcome': 'success',
        'event.duration': duration(),
        'labels.result': result,
      },
      'job completed',
    );
    return result;
  } catch (thrown) {
    const error = maskError(thrown);
    const { level, message } = logLineFor(thrown, context.isLastAttempt);
    log[level](
      { ...fields, 'event.outcome': 'failure', 'event.duration': duration(), err: error },
      message,
    );
    throw await queueErrorFor(thrown, error, job, token, producer);
  }
}

/** @throws {PermanentFailure} for data that no version of this job can have; an error to try again for a newer one. */
function parseData<S extends z.ZodType>(
  schema: S,
  { data, opts }: Pick<Job<unknown, string>, 'data' | 'opts'>,
): z.output<S> {
  // Without them every try would be the last one.
  if (!hasAttempts(opts)) throw new PermanentFailure('the job has lost its options');
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  if (isOtherVersion(data))
    throw new Error('the job is of a version that this worker does not know');
  const faults = parsed.error.issues.map(
    ({ path, code }) => `${path.join('.') || 'data'}: ${code}`,
  );
  throw new PermanentFailure(`the job does not fit its contract: ${faults.join(', ')}`);
}

async function stopWorker(
  worker: Worker<unknown, string>,
  inFlight: ReadonlySet<Promise<string>>,
  handBack: AbortController,
  deadlineMs: number,
): Promise<void> {
  let isClosed = false;
  const closed = worker.close().then(() => {
    isClosed = true;
  });
  const settled = async (): Promise<void> => {
    while (!isClosed && inFlight.size > 0)
      await Promise.race([closed, Promise.allSettled(inFlight)]);
    if (!isClosed) await Promise.race([closed, delay(CLOSE_WITHIN_MS, undefined, { ref: false })]);
    // A job that was just being fetched may have begun meanwhile.
    if (!isClosed && inFlight.size > 0) await settled();
  };
  const everythingEnded = settled();
  await Promise.race([everythingEnded, delay(deadlineMs, undefined, { ref: false })]);
  handBack.abort();
  await Promise.race([everythingEnded, delay(HAND_BACK_WITHIN_MS, undefined, { ref: false })]);
}

/** A lost connection repeats its error with every try to reconnect. */
function throttledWarning(log: Logger, queue: QueueName): (error: Error) => void {
  const isDue = createLogThrottle(SAME_ERROR_EVERY_MS);
  return (error) => {
    if (!isDue(error.message)) return;
    log.warn({ 'labels.queue': queue, err: maskError(error) }, 'queue consumer Redis error');
  };
}
