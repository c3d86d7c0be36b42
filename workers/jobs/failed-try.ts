import { DelayedError, RateLimitError, UnrecoverableError, WaitingError, type Job } from 'bullmq';
import type { LogMessage } from '../../shared/logging/messages.js';
import type { JobQueue } from '../../shared/queues/job-queue.js';
import { maskPersonalData } from '../mask.js';
import {
  JobHandedBack,
  JobPostponed,
  PermanentFailure,
  QueueCutOff,
  QueueResting,
  QueueThrottled,
} from './job-effects.js';

/** How the line about a failed try reads. */
export function logLineFor(
  thrown: unknown,
  isLastAttempt: boolean,
): { level: 'debug' | 'info' | 'warn' | 'error'; message: LogMessage } {
  if (thrown instanceof JobHandedBack) return { level: 'info', message: 'job returned to queue' };
  if (thrown instanceof JobPostponed) return { level: 'info', message: 'job delayed' };
  if (thrown instanceof QueueResting) return { level: 'debug', message: 'queue paused' };
  if (thrown instanceof QueueThrottled) return { level: 'warn', message: 'queue rate-limited' };
  if (thrown instanceof PermanentFailure || isLastAttempt)
    return { level: 'error', message: 'job failed permanently' };
  return { level: 'warn', message: 'job failed; will retry' };
}

/**
 * Does what a failure asks of the queue, and resolves to the error by which BullMQ learns what to do with the job.
 * @param masked the same failure, fit to be kept in Redis.
 */
export async function queueErrorFor(
  thrown: unknown,
  masked: Error,
  job: Job<unknown, string>,
  token: string,
  producer: Pick<JobQueue, 'rateLimit'>,
): Promise<Error> {
  if (thrown instanceof QueueThrottled) {
    // If Redis does not hear of it the next job finds out by itself; this one must not be counted for that.
    await producer.rateLimit(thrown.restMs).catch(() => undefined);
    // At a rate limit BullMQ puts a job back to the head of the line.
    if (!(thrown instanceof QueueCutOff)) return new RateLimitError();
    await job.moveToDelayed(Date.now() + thrown.delayMs, token);
    return new DelayedError();
  }
  if (thrown instanceof JobPostponed) {
    await job.moveToDelayed(Date.now() + thrown.delayMs, token);
    return new DelayedError();
  }
  if (thrown instanceof JobHandedBack) {
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
