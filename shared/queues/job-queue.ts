import { Queue } from 'bullmq/dist/cjs/classes/queue.js';
import type { Redis } from 'ioredis';
import * as z from 'zod';
import type { JobContract, JobPayload } from './job-contract.js';
import {
  discardJob,
  parsedJson,
  readState,
  removeCorruptKeys,
  SCORE_PER_MS,
  type JobState,
} from './job-state.js';
import { isWrongType } from './redis-refusals.js';
import { queuePrefix, queueRegistry, type QueueName } from './registry.js';

/** A job to be added. The id makes adding it idempotent: a second add of the same id does nothing. */
export interface NewJob<C extends JobContract = JobContract> {
  readonly id: string;
  readonly contract: C;
  readonly data: JobPayload<C>;
}

/** How many jobs of a queue are in each state; finished ones are kept for a while. */
export type JobCounts = Readonly<
  Record<'waiting' | 'delayed' | 'active' | 'completed' | 'failed', number>
>;

/** Why an operator has paused a queue. */
export interface QueuePause {
  readonly reason: string;
  /** Who did it: the user of the command line, or the operator's id. */
  readonly by: string;
  readonly since: Date;
}

/** What a queue holds, and whether its jobs are taken. */
export interface QueueState {
  readonly counts: JobCounts;
  /** Workers take no jobs until an operator resumes the queue; undefined unless one has paused it. */
  readonly paused: QueuePause | undefined;
  /** Workers take no jobs for so long: the queue is throttled after a failure. */
  readonly throttledMs: number;
}

/**
 * The producer's side of one queue. Every call fails fast when Redis is gone. A failed add means "unknown", not "no": the
 * reply may have been lost.
 */
export interface JobQueue<Q extends QueueName = QueueName> {
  /** @throws when Redis does not take the job, or it is larger than the queue's limit. */
  add<C extends JobContract<Q>>(job: NewJob<C>): Promise<void>;
  /** @param isIntact tells the job's data from another's; without it neither they nor its options are read. */
  stateOf(jobId: string, isIntact?: (data: unknown) => boolean): Promise<JobState>;
  /** Removes everything that Redis holds under a job's id, of whatever type: for a job that is `broken`. */
  discard(jobId: string): Promise<void>;
  /** Removes the queue's own keys that are corrupt, on which every command would fail; resolves to their names. */
  removeCorruptKeys(): Promise<string[]>;
  /** How many jobs are not done yet: waiting, delayed or active. */
  countOpen(): Promise<number>;
  /** How many jobs a worker could take now: none while the queue is throttled or paused. Delayed ones count once they are due. */
  countRunnable(): Promise<number>;
  /** What it holds, and whether its jobs are taken: a fixed number of commands. */
  state(): Promise<QueueState>;
  /** No worker takes a job of this queue until it is resumed; jobs in progress end. Idempotent; the newest reason counts. */
  pause(pause: QueuePause): Promise<void>;
  /** Undoes {@link JobQueue.pause}; resolves to whether the queue was paused. */
  resume(): Promise<boolean>;
  /** Whether an operator has paused it, and why. */
  pauseOf(): Promise<QueuePause | undefined>;
  /** No worker takes a job of this queue for so long; only workers that set a limiter obey. */
  throttle(durationMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Opens the producer's side of a queue over a client that the caller keeps open and closes afterwards. */
export function openJobQueue<Q extends QueueName>(
  name: Q,
  redis: Redis,
  onError: (error: Error) => void,
): JobQueue<Q> {
  const queue = new Queue(name, {
    connection: redis,
    prefix: queuePrefix(name),
    // Without both of these a queue that was opened while Redis was down never recovers.
    skipWaitingForReady: true,
    skipVersionCheck: true,
    defaultJobOptions: {
      ...queueRegistry[name].jobs,
      // The workers' `backoffStrategy`.
      backoff: { type: 'jittered' },
      stackTraceLimit: 5,
    },
  });
  queue.on('error', onError);

  return {
    async add({ id, contract, data }) {
      const job = await queue.add(contract.name, data, { jobId: id });
      if (job.id !== id) throw new Error(`Redis took the job under another id: ${String(job.id)}`);
    },
    stateOf: (jobId, isIntact) => readState(redis, queue.toKey, jobId, isIntact),
    removeCorruptKeys: () => removeCorruptKeys(redis, queue.toKey),
    discard: (jobId) => discardJob(redis, queue.toKey, jobId),
    countOpen: () => queue.getJobCountByTypes('waiting', 'prioritized', 'delayed', 'active'),
    countRunnable: () => countRunnable(queue, redis),
    async state() {
      const [counts, paused, throttledMs] = await Promise.all([
        readCounts(queue),
        readPause(queue, redis),
        queue.getRateLimitTtl(1),
      ]);
      return { counts, paused, throttledMs: Math.max(0, throttledMs) };
    },
    async pause(pause) {
      // The reason first: a queue that is paused without one would puzzle whoever finds it.
      await redis.set(queue.toKey(PAUSE_KEY), JSON.stringify(pause));
      await queue.pause();
    },
    async resume() {
      const wasPaused = await queue.isPaused();
      await queue.resume();
      await redis.del(queue.toKey(PAUSE_KEY));
      return wasPaused;
    },
    pauseOf: () => readPause(queue, redis),
    throttle: (durationMs) => queue.rateLimit(durationMs),
    close: () => queue.close(),
  };
}

/** Beside BullMQ's own mark, and lost with it when Redis loses its data. */
const PAUSE_KEY = 'operator-pause';

const Pause = z.object({ reason: z.string(), by: z.string(), since: z.coerce.date() });

async function readPause(queue: Queue, redis: Redis): Promise<QueuePause | undefined> {
  const [isPaused, text] = await Promise.all([
    queue.isPaused(),
    redis.get(queue.toKey(PAUSE_KEY)).catch((error: unknown) => {
      // A key of another type was written by another program.
      if (!isWrongType(error)) throw error;
      return null;
    }),
  ]);
  if (!isPaused) return undefined;
  const { data } = Pause.safeParse(parsedJson(text));
  return data ?? { reason: 'unknown', by: 'unknown', since: new Date(0) };
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
