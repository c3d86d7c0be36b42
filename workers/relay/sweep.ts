import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import type { Logger } from '../../shared/logging/logger.js';
import { outboxJobId } from '../../shared/outbox/outbox-job.js';
import type { JobQueue, JobState } from '../../shared/queues/job-queue.js';
import { maskPersonalData } from '../mask.js';
import {
  buryEnqueued,
  dueBefore,
  markChecked,
  neglectedMessages,
  returnAsNextGeneration,
  returnToPending,
  takeSweepersPlace,
  type EnqueuedMessage,
} from './outbox-enqueued.js';
import { jittered, startRepeating, type Repeating } from './repeat.js';

/** What a sweep did. */
export interface SweepResult {
  /** Their job is where it should be. */
  readonly checked: number;
  /** Their job was lost; they are pending again. */
  readonly returned: number;
  /** Given up. */
  readonly buried: number;
}

/** How far a sweep goes. */
export interface SweepScope {
  /** Messages that were enqueued or looked after less than this ago are left alone. */
  readonly minAgeMs: number;
  readonly maxMessages: number;
  /** Ends the sweep between two handfuls of messages. */
  readonly signal?: AbortSignal | undefined;
}

/** Compares what the database believes to be in Redis with what is there. */
export interface Sweep {
  /**
   * Looks after enqueued messages. Does nothing while another sweep runs, here or elsewhere.
   * @throws when Redis or the database does not answer: what has not been seen is left as it was.
   */
  run(scope?: Partial<SweepScope>): Promise<SweepResult>;
}

/** What the sweep is made of. */
export interface SweepDeps {
  readonly database: Database;
  readonly queue: Pick<JobQueue, 'stateOf'>;
  readonly log: Logger;
}

/** What the sweep does of itself. */
const routine: SweepScope = { minAgeMs: 60_000, maxMessages: 500 };
/** What it does when all jobs may be lost. */
const everything: SweepScope = { minAgeMs: 0, maxMessages: Infinity };

const CHUNK_SIZE = 50;
/** A job that its worker died of so often is poison. */
const MAX_ENQUEUE_COUNT = 10;
const STALLED_TOO_OFTEN = /^job stalled more than allowable limit/;
const INTERVAL_MS = 30_000;

/** Finds messages whose job was lost or has failed: see {@link Sweep}. */
export function createSweep(deps: SweepDeps): Sweep {
  return {
    async run(scope = {}) {
      const { minAgeMs, maxMessages, signal } = { ...routine, ...scope };
      const total = { checked: 0, returned: 0, buried: 0 };
      await withTransaction(deps.database, async (tx) => {
        if (!(await takeSweepersPlace(deps.database, tx))) return;
        const cutoff = await dueBefore(deps.database, minAgeMs);
        for (let left = maxMessages; left > 0 && !signal?.aborted;) {
          // This transaction only keeps the place, and is used every time so that it is never idle for long. What is
          // found is changed outside of it: a worker shall not wait for the end of a sweep.
          const limit = Math.min(CHUNK_SIZE, left);
          const messages = await neglectedMessages(deps.database, tx, { cutoff, limit });
          const seen = await Promise.allSettled(
            messages.map((message) => lookAfter(deps, message)),
          );
          for (const one of seen) {
            if (one.status === 'rejected')
              throw new Error('a job could not be seen', { cause: one.reason });
            total[one.value] += 1;
          }
          left = messages.length < limit ? 0 : left - messages.length;
        }
      });
      if (total.returned + total.buried > 0) {
        deps.log.warn(
          {
            'labels.checked': total.checked,
            'labels.returned': total.returned,
            'labels.buried': total.buried,
          },
          'the sweep found messages without a living job',
        );
      }
      return total;
    },
  };
}

/** Sweeps everything, as after a loss of Redis's data. */
export const sweepEverything = (sweep: Sweep, signal?: AbortSignal): Promise<SweepResult> =>
  sweep.run({ ...everything, signal });

/** Sweeps every 30 seconds until stopped; a sweep that cannot work says so and is tried again in its time. */
export function startSweeping(sweep: Sweep, log: Logger, intervalMs = INTERVAL_MS): Repeating {
  const turn = async (signal: AbortSignal): Promise<number> => {
    try {
      await sweep.run({ signal });
    } catch (error) {
      log.warn({ err: error }, 'the sweep stopped early; it changed nothing that it had not seen');
    }
    return jittered(intervalMs, 0.1);
  };
  return startRepeating(turn, jittered(intervalMs, 0.1));
}

async function lookAfter(
  { database, queue, log }: SweepDeps,
  message: EnqueuedMessage,
): Promise<keyof SweepResult> {
  const job = await queue.stateOf(outboxJobId(message));
  const fields = { 'labels.outbox_id': message.id, 'trace.id': message.traceId };
  switch (job.state) {
    case 'unknown':
      await returnToPending(database, message);
      return 'returned';
    case 'failed':
      return lookAfterFailed(database, message, job);
    case 'completed':
      log.warn(fields, 'a job is completed but its message is not settled; it is done again');
      await returnAsNextGeneration(database, message);
      return 'returned';
    case 'waiting':
    case 'delayed':
    case 'active':
      await markChecked(database, message);
      return 'checked';
  }
}

/** Workers record why they give a job up. One that failed without a word was lost with its worker, or was no job. */
async function lookAfterFailed(
  database: Database,
  message: EnqueuedMessage,
  { failedReason = '' }: JobState,
): Promise<keyof SweepResult> {
  if (STALLED_TOO_OFTEN.test(failedReason) && message.enqueueCount < MAX_ENQUEUE_COUNT) {
    await returnAsNextGeneration(database, message);
    return 'returned';
  }
  await buryEnqueued(database, message, maskPersonalData(failedReason) || 'the job failed');
  return 'buried';
}
