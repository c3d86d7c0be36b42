import type { Job as BullJob } from 'bullmq';
import {
  DelayedError,
  RateLimitError,
  UnrecoverableError,
  WaitingError,
} from 'bullmq/dist/cjs/classes/errors/index.js';
import type * as z from 'zod';
import type { Logger } from '../../shared/logging/logger.js';
import { maskError, maskPersonalData } from '../../shared/logging/mask.js';
import type { LabelsOf } from '../../shared/metrics/catalogue.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import type { LogMessage } from '../../shared/logging/messages.js';
import { isOtherVersion } from '../../shared/queues/job-contract.js';
import type { JobQueue } from '../../shared/queues/job-queue.js';
import { hasAttempts } from '../../shared/queues/job-state.js';
import type { QueueName } from '../../shared/queues/registry.js';
import {
  JobDelayed,
  JobReturned,
  PermanentFailure,
  QueueStillThrottled,
  QueueThrottled,
  QueueThrottledJobDelayed,
} from './job-effects.js';

/** What a processor knows of its attempt, and what it may do besides the work. */
export interface JobContext {
  readonly jobId: string;
  /** No attempt has been counted yet. */
  readonly isFirstAttempt: boolean;
  /** No further attempt follows if this one fails. */
  readonly isLastAttempt: boolean;
  /** Aborts when the process is about to end: a job that has had no effect yet should be returned to the queue. */
  readonly signal: AbortSignal;
  /** Adds fields to the one line that is logged about this attempt. */
  annotate(fields: Readonly<Record<string, unknown>>): void;
  /** The next attempt gets these data instead. */
  replaceData(data: Readonly<Record<string, unknown>>): Promise<void>;
}

/** Does a job's work. Resolves to a word for its result; fails as in `job-effects.ts`. */
export type Processor<D> = (data: D, context: JobContext) => Promise<string>;

/** How the jobs of one queue are processed. */
export interface JobProcessing<S extends z.ZodType> {
  /** The queue, and the schema of every job in it. */
  readonly jobs: { readonly queue: QueueName; readonly schema: S };
  readonly process: Processor<z.output<S>>;
  /** The producer's side of the queue. */
  readonly producer: Pick<JobQueue, 'throttle'>;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'observe'>;
  /** The level of the line about a successful attempt. */
  readonly successLevel: 'info' | 'debug';
}

type Job = BullJob<unknown, string>;

/**
 * Makes one attempt of a job: reads its data by the schema, processes it and logs one line.
 * @throws the error by which BullMQ learns what to do with the job. What it stores of it in Redis is masked.
 */
export async function runJob<S extends z.ZodType>(
  { jobs, process: work, producer, log, metrics, successLevel }: JobProcessing<S>,
  job: Job,
  token: string,
  signal: AbortSignal,
): Promise<string> {
  const startedAt = process.hrtime.bigint();
  const fields: Record<string, unknown> = {
    'labels.queue': jobs.queue,
    'labels.job': job.name,
    'labels.job_id': job.id,
    'labels.attempt': job.attemptsMade + 1,
  };
  const duration = (): number => Number(process.hrtime.bigint() - startedAt);
  const record = (result: JobResult): void =>
    metrics.observe('rollcall_job_run_seconds', duration() / 1e9, { queue: jobs.queue, result });
  if (job.attemptsStarted === 1) {
    const waitedMs = Math.max(0, Date.now() - job.timestamp);
    metrics.observe('rollcall_job_wait_seconds', waitedMs / 1_000, { queue: jobs.queue });
  }
  const context: JobContext = {
    jobId: job.id ?? '',
    isFirstAttempt: job.attemptsMade === 0,
    isLastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? 1),
    signal,
    annotate: (more) => void Object.assign(fields, more),
    replaceData: (data) => job.updateData(data),
  };
  try {
    const result = await work(parseData(jobs.schema, job), context);
    log[successLevel](
      {
        ...fields,
        'event.outcome': 'success',
        'event.duration': duration(),
        'labels.result': result,
      },
      'job completed',
    );
    record('completed');
    return result;
  } catch (thrown) {
    const error = maskError(thrown);
    const { level, message } = logLineFor(thrown, context.isLastAttempt);
    log[level](
      { ...fields, 'event.outcome': 'failure', 'event.duration': duration(), err: error },
      message,
    );
    record(resultOf(thrown, context.isLastAttempt));
    throw await queueErrorFor(thrown, error, job, token, producer);
  }
}

/** @throws {PermanentFailure} for data that no version of this job can have; a retryable error for another version. */
function parseData<S extends z.ZodType>(
  schema: S,
  { data, opts }: Pick<Job, 'data' | 'opts'>,
): z.output<S> {
  // BullMQ would take any attempt of a job without options for its last.
  if (!hasAttempts(opts)) throw new PermanentFailure('the job has lost its options');
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  if (isOtherVersion(data, parsed.error))
    throw new Error('the job is of a version that this worker does not know');
  const faults = parsed.error.issues.map(
    ({ path, code }) => `${path.join('.') || 'data'}: ${code}`,
  );
  throw new PermanentFailure(`the job does not fit its contract: ${faults.join(', ')}`);
}

type JobResult = LabelsOf<'rollcall_job_run_seconds'>['result'];

/** How a failed attempt ended, for the metrics. */
function resultOf(thrown: unknown, isLastAttempt: boolean): JobResult {
  if (thrown instanceof JobReturned) return 'returned';
  if (thrown instanceof JobDelayed) return 'delayed';
  if (thrown instanceof QueueThrottled) return 'throttled';
  return thrown instanceof PermanentFailure || isLastAttempt ? 'failed' : 'retried';
}

/** The log line about a failed attempt. */
function logLineFor(
  thrown: unknown,
  isLastAttempt: boolean,
): { level: 'debug' | 'info' | 'warn' | 'error'; message: LogMessage } {
  if (thrown instanceof JobReturned) return { level: 'info', message: 'job returned to queue' };
  if (thrown instanceof JobDelayed) return { level: 'info', message: 'job delayed' };
  if (thrown instanceof QueueStillThrottled)
    return { level: 'debug', message: 'queue still throttled' };
  if (thrown instanceof QueueThrottled) return { level: 'warn', message: 'queue throttled' };
  if (thrown instanceof PermanentFailure || isLastAttempt)
    return { level: 'error', message: 'job failed permanently' };
  return { level: 'warn', message: 'job failed; will retry' };
}

/**
 * Applies a failure's effect to the queue, and resolves to the error by which BullMQ learns what to do with the job.
 * @param masked the same failure without personal data, to be kept in Redis.
 */
async function queueErrorFor(
  thrown: unknown,
  masked: Error,
  job: Job,
  token: string,
  producer: Pick<JobQueue, 'throttle'>,
): Promise<Error> {
  if (thrown instanceof QueueThrottled) {
    // If Redis does not answer, the next job is throttled instead; this attempt must not count because of that.
    await producer.throttle(thrown.pauseMs).catch(() => undefined);
    // At a rate limit BullMQ returns a job to the head of the queue.
    if (!(thrown instanceof QueueThrottledJobDelayed)) return new RateLimitError();
    await job.moveToDelayed(Date.now() + thrown.delayMs, token);
    return new DelayedError();
  }
  if (thrown instanceof JobDelayed) {
    await job.moveToDelayed(Date.now() + thrown.delayMs, token);
    return new DelayedError();
  }
  if (thrown instanceof JobReturned) {
    await job.moveToWait(token);
    return new WaitingError();
  }
  const message = maskPersonalData(masked.message);
  return withoutStack(
    thrown instanceof PermanentFailure ? new UnrecoverableError(message) : new Error(message),
  );
}

/** Redis keeps the stacks of failed jobs; the log has them already. */
function withoutStack(error: Error): Error {
  error.stack = error.message;
  return error;
}
