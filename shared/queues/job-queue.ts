import { Queue, type DefaultJobOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import type { QueueName } from '../jobs/define-job.js';
import {
  discardJob,
  readState,
  removeForeignKeys,
  SCORE_PER_MS,
  type JobState,
} from './job-state.js';

/** A job as a producer hands it over. The id makes it idempotent: a second add of the same id does nothing. */
export interface NewJob {
  readonly id: string;
  readonly name: string;
  readonly data: Record<string, unknown>;
}

/** How many jobs of a queue are in each state; those done are kept for a while. */
export type JobCounts = Readonly<
  Record<'waiting' | 'delayed' | 'active' | 'completed' | 'failed', number>
>;

/** The producer's end of one queue. Every call fails fast when Redis is gone; a failed add means "unknown", not "no". */
export interface JobQueue {
  add(job: NewJob): Promise<void>;
  /** @param isIntact tells the job's data from another's; without it neither they nor its options are read. */
  stateOf(jobId: string, isIntact?: (data: unknown) => boolean): Promise<JobState>;
  /** Removes all that Redis holds under a job's id, whatever it is: for a job that is `broken`. */
  discard(jobId: string): Promise<void>;
  /** Removes the queue's own keys on which every command would fail, and resolves to their names. */
  removeForeignKeys(): Promise<string[]>;
  /** How many jobs are not done yet, whether they wait, are delayed or are being worked on. */
  countOpen(): Promise<number>;
  /** How many jobs a worker could take now: none while the queue is throttled or paused. Delayed ones count once they are due. */
  countRunnable(): Promise<number>;
  /** No worker takes a job of this queue for so long; workers that set a limiter obey it. */
  rateLimit(durationMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Looks into a queue. */
export interface JobCounter {
  /** How many jobs Redis holds, by state. */
  counts(): Promise<JobCounts>;
}

/** Redis keys of a queue begin with this. The braces stay as they are: jobs of the release before are below them. */
export const queuePrefix = (queue: QueueName): string => `{${queue}}`;

const jobOptions: Record<QueueName, DefaultJobOptions> = {
  mail: {
    // Time, not the count, shall end the tries: a mail server may be away for a day, and no link lives longer. Under
    // full jitter a pause is half of its bound on average, seven and a half minutes once the bound has reached its 15,
    // so this many take some 29 hours, and less than 24 as good as never. The first ten are made within about ten
    // minutes.
    attempts: 240,
    backoff: { type: 'jittered' },
    removeOnComplete: { age: 3_600, count: 1_000 },
    removeOnFail: { age: 14 * 86_400, count: 10_000 },
    stackTraceLimit: 5,
    sizeLimit: 8_192,
  },
  logs: {
    attempts: 50,
    backoff: { type: 'jittered' },
    removeOnComplete: true,
    // With all their lines: few, for nothing removes them while nothing fails. Whoever wrote the lines has them still.
    removeOnFail: { age: 7 * 86_400, count: 20 },
    stackTraceLimit: 5,
    sizeLimit: 2 * 1_024 * 1_024,
  },
};

/** Opens the producer's end of a queue over a client that the caller keeps open and closes afterwards. */
export function openJobQueue(
  name: QueueName,
  redis: Redis,
  onError: (error: Error) => void,
): JobQueue & JobCounter {
  const queue = new Queue(name, {
    connection: redis,
    prefix: queuePrefix(name),
    // Without both of these a queue that was opened while Redis was down never recovers.
    skipWaitingForReady: true,
    skipVersionCheck: true,
    defaultJobOptions: jobOptions[name],
  });
  queue.on('error', onError);

  return {
    async add({ id, name: jobName, data }) {
      const job = await queue.add(jobName, data, { jobId: id });
      if (job.id !== id) throw new Error(`Redis took the job under another id: ${String(job.id)}`);
    },
    stateOf: (jobId, isIntact) => readState(redis, queue.toKey, jobId, isIntact),
    removeForeignKeys: () => removeForeignKeys(redis, queue.toKey),
    discard: (jobId) => discardJob(redis, queue.toKey, jobId),
    countOpen: () => queue.getJobCountByTypes('waiting', 'prioritized', 'delayed', 'active'),
    countRunnable: () => countRunnable(queue, redis),
    counts: () => readCounts(queue),
    rateLimit: (durationMs) => queue.rateLimit(durationMs),
    close: () => queue.close(),
  };
}

async function countRunnable(queue: Queue, redis: Redis): Promise<number> {
  if ((await queue.getRateLimitTtl(1)) > 0 || (await queue.isPaused())) return 0;
  const [waiting, due] = await Promise.all([
    queue.getJobCountByTypes('waiting', 'prioritized'),
    redis.zcount(queue.toKey('delayed'), '-inf', (Date.now() + 1) * SCORE_PER_MS - 1),
  ]);
  return waiting + due;
}

async function readCounts(queue: Queue): Promise<JobCounts> {
  const counts = await queue.getJobCounts(
    'waiting',
    'prioritized',
    'delayed',
    'active',
    'completed',
    'failed',
  );
  const of = (state: string): number => counts[state] ?? 0;
  return {
    waiting: of('waiting') + of('prioritized'),
    delayed: of('delayed'),
    active: of('active'),
    completed: of('completed'),
    failed: of('failed'),
  };
}
