import { MAX_BATCH_RECORDS } from '../../shared/jobs/ship-log-batch.js';
import type { LastMinute } from './last-minute.js';
import type { WorkFacts } from './scalable-work.js';
import type { OutboxNow, QueueNow } from './stores-now.js';

const MINUTE_SECONDS = 60;
/** A limiter's own window is not longer; who is throttled for longer was refused. */
const LIMITER_WINDOW_SECONDS = 1;
/** By the CPU that a line takes: docs/scaling.md, "What is assumed". */
const LINES_PER_SECOND = 1 / 25.5e-6;

/** What one worker sends at most, and all of them. */
export interface MailCapacity {
  readonly workerPerSecond: number;
  readonly limitPerSecond: number;
}

/**
 * The state of the mails. They wait in the outbox and on the queue. While they are held, those that are delayed count too:
 * an outage delays the mail that met it, and each that tries whether it is over.
 * @param queue undefined if Redis did not answer, which holds the mails as well.
 */
export function mailFacts(
  { messages }: OutboxNow,
  queue: QueueNow | undefined,
  minute: LastMinute,
  capacity: MailCapacity,
): WorkFacts {
  const isHeld =
    isStopped(queue) ||
    ['smtp', 'smtp_circuit', 'redis_refuses'].some((check) => minute.fails(check)) ||
    ['throttle', 'misconfigured'].some((effect) => minute.valueOf('mail_failures', { effect }) > 0);
  return {
    ...capacity,
    waiting: messages.pending + (queue ? jobsOf(queue, isHeld) : messages.enqueued),
    donePerSecond: minute.valueOf('mail_outcomes', { outcome: 'sent' }) / MINUTE_SECONDS,
    isHeld,
  };
}

/**
 * The state of the log lines. They wait on the queue, whose batches are taken to be full; those of a quiet system are not, and
 * few. What is still in the spools waits for room on the queue, which then holds half a million lines.
 * @param queue undefined if Redis did not answer: the lines stay in the spools.
 */
export function lineFacts(queue: QueueNow | undefined, minute: LastMinute): WorkFacts {
  const isHeld =
    isStopped(queue) ||
    ['firehose', 'redis_refuses_logs'].some((check) => minute.fails(check)) ||
    ['unavailable', 'misconfigured'].some(
      (result) => minute.valueOf('firehose_calls', { result }) > 0,
    ) ||
    minute.valueOf('firehose_records', { result: 'refused' }) > 0;
  return {
    // Held, so that it matters only whether there are any.
    waiting: queue ? jobsOf(queue, isHeld) * MAX_BATCH_RECORDS : minute.valueOf('spool_bytes'),
    donePerSecond: minute.valueOf('firehose_records', { result: 'accepted' }) / MINUTE_SECONDS,
    // Nobody knows what Firehose would take; it says so only by throttling.
    limitPerSecond: Infinity,
    workerPerSecond: LINES_PER_SECOND,
    isHeld,
  };
}

const isStopped = (queue: QueueNow | undefined): boolean =>
  !queue || queue.isPaused || queue.throttledSeconds > LIMITER_WINDOW_SECONDS;

const jobsOf = ({ waiting, delayed }: QueueNow, isHeld: boolean): number =>
  waiting + (isHeld ? delayed : 0);
