import { v7 as uuidv7 } from 'uuid';
import type { Cause } from '../audit/audit.js';
import type { Database } from '../database/connect.js';
import { valuesOf, type RowShape } from '../database/insert-rows.js';
import type { Statement } from '../database/statements.js';
import type { Transaction } from '../database/transaction.js';
import type { MailContract } from '../jobs/mail-jobs.js';
import type { Failpoint } from '../lifecycle/failpoint.js';
import type { Logger } from '../logging/logger.js';
import { OutboxMessage } from '../models/index.js';
import type { JobPayload } from '../queues/job-contract.js';
import type { JobQueue } from '../queues/job-queue.js';
import type { QueueRoom } from '../queues/queue-room.js';
import { enqueueSpan, openSpan, within, type TraceParent } from '../tracing/open-span.js';
import type { Tracer } from '../tracing/tracer.js';
import { OUTBOX_JOB_BYTES, outboxJob, outboxJobId, type OutboxJobSource } from './outbox-job.js';

/** Whom a message is for, and the request that caused it. */
export interface OutboxContext {
  /** Absent when the message is to an address that need not belong to an admin. */
  readonly adminId?: number;
  /** The address that the mail goes to. */
  readonly recipient: string;
  readonly cause: Cause;
}

/** Columns of a new message, for a statement that also writes what causes it. */
export const OUTBOX_ROW = {
  table: 'outbox',
  columns: [
    'id',
    'name',
    'payload',
    'admin_id',
    'recipient',
    'trace_id',
    'span_id',
    'is_sampled',
    'request_id',
  ],
} as const satisfies RowShape;

/** A message that is about to be written. */
export interface NewMessage {
  readonly id: string;
  /** Of {@link OUTBOX_ROW}. */
  readonly values: readonly unknown[];
  /** Enqueues the message's job. To be called right after the message was committed; what fails is left to the relay. */
  committed(): void;
}

/** The writing side of the outbox. */
export interface Outbox {
  /** A message that the caller's own statement writes, with the same guarantee as `enqueue`. */
  message<C extends MailContract>(
    contract: C,
    payload: JobPayload<C>,
    context: OutboxContext,
  ): NewMessage;
  /**
   * Writes a message in the transaction of its cause. Once that commits, the message's job is enqueued at least once,
   * whichever process dies. Enqueueing right after the commit is only an optimisation: the relay enqueues the rest.
   * @returns the message's id.
   */
  enqueue<C extends MailContract>(
    tx: Transaction,
    contract: C,
    payload: JobPayload<C>,
    context: OutboxContext,
  ): Promise<string>;
  /** Waits until messages of committed transactions are enqueued, or left to the relay. */
  close(): Promise<void>;
}

export interface OutboxDeps {
  readonly database: Database;
  readonly queue: Pick<JobQueue<'mail'>, 'add'>;
  readonly room: QueueRoom;
  readonly failpoint: Failpoint;
  readonly log: Logger;
  readonly tracer?: Tracer | undefined;
}

/** After a failure only the relay enqueues for a while: a Redis that is down must not slow requests. */
const COOL_DOWN_MS = 1_000;

/** The writing side of the outbox: see {@link Outbox}. */
export function createOutbox(deps: OutboxDeps): Outbox {
  const inFlight = new Set<Promise<void>>();
  const state: Enqueueing = { deps, coolUntil: 0 };
  const enqueueSoon = (message: OutboxJobSource, parent: TraceParent): void => {
    const task = enqueueAfterCommit(state, message, parent).finally(() => inFlight.delete(task));
    inFlight.add(task);
  };

  return {
    message(contract, payload, context) {
      const { id, name, ...columns } = newRow(contract, payload, context);
      const values = valuesOf(OUTBOX_ROW, {
        id,
        name,
        payload,
        admin_id: columns.adminId,
        recipient: columns.recipient,
        trace_id: columns.traceId,
        span_id: columns.spanId,
        is_sampled: columns.isSampled,
        request_id: columns.requestId,
      });
      return { id, values, committed: () => enqueueSoon({ id, name, generation: 0 }, columns) };
    },
    async enqueue(tx, contract, payload, context) {
      const row = newRow(contract, payload, context);
      const { id, name, generation } = await OutboxMessage.create(row, { transaction: tx });
      tx.afterCommit(() => enqueueSoon({ id, name, generation }, row));
      return id;
    },
    async close() {
      await Promise.all(inFlight);
    },
  };
}

interface Enqueueing {
  readonly deps: OutboxDeps;
  /** Until then, by `performance.now`, only the relay enqueues. */
  coolUntil: number;
}

/** Never rejects. */
async function enqueueAfterCommit(
  state: Enqueueing,
  message: OutboxJobSource,
  parent: TraceParent,
): Promise<void> {
  const { database, queue, room, failpoint, log, tracer } = state.deps;
  failpoint('after-commit');
  if (performance.now() < state.coolUntil) return;
  try {
    if (!(await room.has(OUTBOX_JOB_BYTES))) {
      // The relay waits as well, and has logged it.
      state.coolUntil = performance.now() + COOL_DOWN_MS;
      return;
    }
    await within(openSpan(tracer, parent, enqueueSpan('mail', outboxJobId(message))), () =>
      queue.add(outboxJob(message)),
    );
    failpoint('after-add');
    await markEnqueued(database, [message]);
  } catch (error) {
    state.coolUntil = performance.now() + COOL_DOWN_MS;
    log.warn(
      { err: error, 'labels.outbox_id': message.id, 'trace.id': parent.traceId },
      'enqueue after commit failed; relay will retry',
    );
  }
}

const newRow = <C extends MailContract>(
  contract: C,
  payload: JobPayload<C>,
  { adminId, recipient, cause }: OutboxContext,
) => ({
  id: uuidv7(),
  name: contract.name,
  payload,
  adminId: adminId ?? null,
  recipient,
  traceId: cause.traceId,
  spanId: cause.spanId ?? null,
  isSampled: cause.isSampled ?? true,
  requestId: cause.requestId ?? null,
});

const MARK_ENQUEUED: Statement = {
  name: 'mark-enqueued',
  text: `update outbox o
    set state = 'enqueued', enqueued_at = now(), enqueue_count = enqueue_count + 1, checked_at = null
   from unnest($1::uuid[], $2::int[]) as added (id, generation)
  where o.id = added.id and o.generation = added.generation and o.id = any ($1::uuid[]) and o.state = 'pending'`,
};

/** Marks these messages as enqueued, except those whose state or generation has changed since they were read. */
export async function markEnqueued(
  database: Database,
  messages: readonly Pick<OutboxJobSource, 'id' | 'generation'>[],
  tx?: Transaction,
): Promise<void> {
  const bind = [messages.map(({ id }) => id), messages.map(({ generation }) => generation)];
  if (tx) await database.query(MARK_ENQUEUED.text, { bind, transaction: tx });
  else await database.statements.run(MARK_ENQUEUED, bind);
}
