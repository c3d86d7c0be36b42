import { v7 as uuidv7 } from 'uuid';
import type { Cause } from '../audit/audit.js';
import type { Database } from '../database/connect.js';
import type { Transaction } from '../database/transaction.js';
import type { JobPayload } from '../jobs/define-job.js';
import type { OutboxContract } from '../jobs/index.js';
import type { Failpoint } from '../lifecycle/failpoint.js';
import type { Logger } from '../logging/logger.js';
import { OutboxMessage } from '../models/index.js';
import type { JobQueue } from '../queues/job-queue.js';
import type { QueueRoom } from '../queues/queue-room.js';
import { markEnqueued } from './mark-enqueued.js';
import { OUTBOX_JOB_BYTES, outboxJob, type OutboxJobSource } from './outbox-job.js';

/** Whom and what a message concerns. */
export interface OutboxContext {
  /** Absent when it is about an address, whoever has it. */
  readonly adminId?: number;
  /** The address that the mail is promised to. */
  readonly recipient: string;
  readonly cause: Cause;
}

/** The writing side of the outbox. */
export interface Outbox {
  /**
   * Promises a job in the same transaction as what causes it. Once that commits the job is made at least once,
   * whatever dies. Enqueueing right after the commit is only an optimisation: the relay takes care of the rest.
   * @returns the message's id.
   */
  enqueue<C extends OutboxContract>(
    tx: Transaction,
    contract: C,
    payload: JobPayload<C>,
    context: OutboxContext,
  ): Promise<string>;
  /** Waits for hand-overs that are under way. */
  close(): Promise<void>;
}

export interface OutboxDeps {
  readonly database: Database;
  readonly queue: Pick<JobQueue, 'add'>;
  readonly room: QueueRoom;
  readonly failpoint: Failpoint;
  readonly log: Logger;
}

/** After a failed hand-over the relay alone works for a while: a Redis that is gone shall not slow the requests. */
const COOL_DOWN_MS = 1_000;

/** The writing side of the outbox: see {@link Outbox}. */
export function createOutbox({ database, queue, room, failpoint, log }: OutboxDeps): Outbox {
  const underWay = new Set<Promise<void>>();
  let coolUntil = 0;

  const handOver = async (message: OutboxJobSource): Promise<void> => {
    failpoint('after-commit');
    if (Date.now() < coolUntil) return;
    try {
      if (!(await room.has(OUTBOX_JOB_BYTES))) {
        // The relay has told it, and waits as well.
        coolUntil = Date.now() + COOL_DOWN_MS;
        return;
      }
      await queue.add(outboxJob(message));
      failpoint('after-add');
      await markEnqueued(database, [message]);
    } catch (error) {
      coolUntil = Date.now() + COOL_DOWN_MS;
      log.warn(
        { err: error, 'labels.outbox_id': message.id },
        'enqueue after commit failed; relay will retry',
      );
    }
  };

  return {
    async enqueue(tx, contract, payload, { adminId, recipient, cause }) {
      const { id, name, generation } = await OutboxMessage.create(
        {
          id: uuidv7(),
          name: contract.name,
          payload,
          adminId: adminId ?? null,
          recipient,
          traceId: cause.traceId,
          spanId: cause.spanId ?? null,
          requestId: cause.requestId ?? null,
        },
        { transaction: tx },
      );
      tx.afterCommit(() => {
        const task = handOver({ id, name, generation }).finally(() => underWay.delete(task));
        underWay.add(task);
      });
      return id;
    },
    async close() {
      await Promise.all(underWay);
    },
  };
}
