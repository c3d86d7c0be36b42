import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import type { Failpoint } from '../../shared/lifecycle/failpoint.js';
import { jittered, startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import { markEnqueued } from '../../shared/outbox/outbox.js';
import {
  OUTBOX_JOB_BYTES,
  outboxJob,
  outboxJobId,
  type OutboxJobSource,
} from '../../shared/outbox/outbox-job.js';
import type { Queues } from '../../shared/queues/queues.js';
import { isWrongType } from '../../shared/queues/redis-refusals.js';
import { lockPending } from './outbox-pending.js';

export interface RelayDeps {
  readonly database: Database;
  readonly queues: Pick<Queues, 'mail' | 'room' | 'epoch'>;
  readonly failpoint: Failpoint;
  readonly log: Logger;
  /**
   * Called when Redis has lost its data: every job that was enqueued may be gone. The relay does not wait for what comes
   * of it.
   */
  readonly onDataLoss: () => void;
}

/** How often the relay looks, and for what. */
export interface RelaySettings {
  readonly intervalMs: number;
  /** Younger messages are left to the API's own hand-over. */
  readonly graceMs: number;
}

const settings: RelaySettings = { intervalMs: 500, graceMs: 2_000 };

const BATCH_SIZE = 100;
const JITTER = 0.2;
const MAX_PAUSE_MS = 5_000;

/**
 * Puts pending messages on their queue, at least once each, until stopped. Any number of relays may run: each message
 * is locked by one of them at a time, and its job has one id whoever adds it. While Redis has no room for more jobs,
 * messages wait in the database.
 */
export function startRelay(
  deps: RelayDeps,
  { intervalMs, graceMs }: RelaySettings = settings,
): Repeating {
  const { queues, log, onDataLoss } = deps;
  let epoch: string | undefined;
  let failures = 0;
  let isFull = false;

  const turn = async (): Promise<number> => {
    try {
      const current = await queues.epoch();
      if (epoch !== undefined && epoch !== current) {
        log.warn('Redis data loss detected; sweeping all messages');
        onDataLoss();
      }
      epoch = current;
      const taken = await relayBatch(deps, graceMs);
      if (failures > 0) log.info({ 'labels.failures': failures }, 'relay recovered');
      failures = 0;
      tellFull(taken === 'no room');
      return taken === BATCH_SIZE ? 0 : jittered(intervalMs, JITTER);
    } catch (error) {
      if (failures === 0) log.warn({ err: error }, 'relay failed; messages wait in the outbox');
      failures += 1;
      return jittered(Math.min(intervalMs * 2 ** failures, MAX_PAUSE_MS), JITTER);
    }
  };
  const tellFull = (isFullNow: boolean): void => {
    if (isFullNow === isFull) return;
    isFull = isFullNow;
    if (isFull) log.warn('mail queue full; messages wait in the outbox');
    else log.info('mail queue accepts jobs again');
  };
  return startRepeating(turn, jittered(intervalMs, JITTER));
}

/**
 * Resolves to how many messages were put on the queue.
 * @throws when Redis has not taken all of them; those that it has taken are marked all the same.
 */
async function relayBatch(
  { database, queues, failpoint }: RelayDeps,
  graceMs: number,
): Promise<number | 'no room'> {
  const batch = await withTransaction(database, async (tx) => {
    const messages = await lockPending(database, tx, { graceMs, limit: BATCH_SIZE });
    if (messages.length === 0) return { taken: 0, refused: undefined };
    const bytes = messages.length * OUTBOX_JOB_BYTES;
    if (!(await queues.room.mail.has(bytes, messages.length)))
      return { taken: 'no room' as const, refused: undefined };
    // Every add must have ended before the locks are given up, hence not `Promise.all`.
    const results = await Promise.allSettled(
      messages.map((message) => addJob(queues.mail, message)),
    );
    const added = messages.filter((_, i) => results[i]?.status === 'fulfilled');
    failpoint('after-add');
    await markEnqueued(database, added, tx);
    const refused = results.find((result) => result.status === 'rejected');
    return { taken: added.length, refused };
  });
  if (batch.refused)
    throw new Error('Redis did not take every job', { cause: batch.refused.reason });
  return batch.taken;
}

/** Adds the job. What else Redis holds under its id is removed, so that the next try goes well. */
async function addJob(mail: Queues['mail'], message: OutboxJobSource): Promise<void> {
  try {
    await mail.add(outboxJob(message));
  } catch (error) {
    if (isWrongType(error)) await mail.discard(outboxJobId(message));
    throw error;
  }
}
