import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import type { JobCounts, JobQueue } from '../../shared/queues/job-queue.js';
import { queueNames, queueRegistry, type QueueName } from '../../shared/queues/registry.js';
import { problemOfRedis, redisUnavailable } from './redis-problems.js';

/** The producers' sides of the queues. */
export interface QueueDeps {
  readonly queues: Readonly<Record<QueueName, Pick<JobQueue, 'state'>>>;
}

export interface QueuePauseDeps {
  readonly queues: Readonly<Record<QueueName, Pick<JobQueue, 'pause' | 'pauseOf' | 'resume'>>>;
  readonly database: Database;
  readonly audit: Audit;
}

/** One queue of the registry, as an operator sees it. */
export interface QueueReport {
  readonly name: QueueName;
  readonly description: string;
  /** Null when its Redis does not answer; `problem` says how. */
  readonly counts: JobCounts | null;
  /** Paused by an operator: no job is taken until it is resumed. */
  readonly paused: { readonly reason: string; readonly by: string; readonly since: Date } | null;
  /** No job is taken until then: the queue is throttled after a failure. */
  readonly throttled_until: Date | null;
  readonly problem: string | null;
}

/** Every queue of the registry. Never rejects: a Redis that does not answer is the queue's problem. */
export function readQueueReports({ queues }: QueueDeps): Promise<QueueReport[]> {
  return Promise.all(
    queueNames.map(async (name) => {
      const { description } = queueRegistry[name];
      try {
        const { counts, paused, throttledMs } = await queues[name].state();
        return {
          name,
          description,
          counts,
          paused: paused ?? null,
          throttled_until: throttledMs > 0 ? new Date(Date.now() + throttledMs) : null,
          problem: null,
        };
      } catch (error) {
        const problem = problemOfRedis(error);
        return { name, description, counts: null, paused: null, throttled_until: null, problem };
      }
    }),
  );
}

/**
 * Pauses a queue until it is resumed: jobs in progress end, no other is taken, new ones wait. Pausing it again gives it
 * another reason.
 * @throws {AppError} `unavailable` when Redis does not do it, or the database's error; then the queue is as it was, unless
 * Redis's answer was lost or only the commit of the audit event failed.
 */
export async function pauseQueue(
  { queues, database, audit }: QueuePauseDeps,
  name: QueueName,
  cause: Cause,
): Promise<void> {
  const by = cause.actor ?? `operator ${cause.operatorId ?? 'unknown'}`;
  const pause = { reason: cause.reason ?? 'none given', by, since: new Date() };
  await withTransaction(database, async (tx) => {
    await audit.record('queue_paused', cause, { details: { queue: name } }, tx);
    await queues[name].pause(pause).catch(redisUnavailable);
  });
}

/** Resumes a queue; resolves to whether it was paused, and audits only that. @throws as {@link pauseQueue} does. */
export async function resumeQueue(
  { queues, database, audit }: QueuePauseDeps,
  name: QueueName,
  cause: Cause,
): Promise<boolean> {
  if (!(await queues[name].pauseOf().catch(redisUnavailable))) return false;
  return withTransaction(database, async (tx) => {
    await audit.record('queue_resumed', cause, { details: { queue: name } }, tx);
    return queues[name].resume().catch(redisUnavailable);
  });
}
