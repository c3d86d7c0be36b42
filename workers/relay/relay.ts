import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import type { Failpoint } from '../../shared/lifecycle/failpoint.js';
import { jittered, startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import { markEnqueued } from '../../shared/outbox/outbox.js';
import {
  OUTBOX_JOB_BYTES,
  outboxJob,
  outboxJobId,
  type OutboxJobSource,
} from '../../shared/outbox/outbox-job.js';
import type { Queues } from '../../shared/queues/queues.js';
import { enqueueSpan, openSpan, within, type TraceParent } from '../../shared/tracing/open-span.js';
import type { Tracer } from '../../shared/tracing/tracer.js';
import { isWrongType, refusalOfRedis } from '../../shared/queues/redis-refusals.js';
import { queueRegistry } from '../../shared/queues/registry.js';
import type { DependencyFaults } from '../jobs/dependency-faults.js';
import { raiseRefusal } from '../jobs/pause-on-redis-errors.js';

export interface RelayDeps {
  readonly database: Database;
  readonly queues: Pick<Queues, 'mail' | 'room' | 'epoch'>;
  readonly failpoint: Failpoint;
  readonly metrics: Pick<Metrics, 'add'>;
  readonly faults: Pick<DependencyFaults, 'raise' | 'clear'>;
  readonly log: Logger;
  readonly tracer?: Tracer | undefined;
  /** Called when Redis has lost its data, and every enqueued job may be gone. Not awaited. */
  readonly onDataLoss: () => void;
}

export interface RelaySettings {
  readonly intervalMs: number;
  /** Younger messages are left to the API, which enqueues right after its commit. */
  readonly graceMs: number;
}

const defaultSettings: RelaySettings = { intervalMs: 500, graceMs: 2_000 };

const BATCH_SIZE = 100;
const JITTER = 0.2;
const MAX_BACKOFF_MS = 5_000;
/** A failover may refuse a few. */
const FAILURES_BEFORE_FAULT = 3;

interface RelayState {
  /** Identifies Redis's data: another one means that the data was lost. */
  epoch: string | undefined;
  /** Consecutive failed turns. */
  failures: number;
  /** The readiness check of the queue fails by its failures. */
  isRefused: boolean;
  isQueueFull: boolean;
}

/**
 * Adds pending messages to their queue, at least once each, until stopped. Any number of relays may run: each message is
 * locked by one of them at a time, and its job has the same id whoever adds it. While Redis has no room for more jobs,
 * messages wait in the database.
 */
export function startRelay(deps: RelayDeps, settings: RelaySettings = defaultSettings): Repeating {
  const state: RelayState = { epoch: undefined, failures: 0, isRefused: false, isQueueFull: false };
  return startRepeating(
    () => relayOnce(deps, state, settings),
    jittered(settings.intervalMs, JITTER),
  );
}

/** Resolves to the milliseconds until the next turn. */
async function relayOnce(
  deps: RelayDeps,
  state: RelayState,
  { intervalMs, graceMs }: RelaySettings,
): Promise<number> {
  const { faults, log } = deps;
  try {
    await detectDataLoss(deps, state);
    const added = await relayBatch(deps, graceMs);
    if (state.failures > 0) log.info({ 'labels.failures': state.failures }, 'relay recovered');
    state.failures = 0;
    if (state.isRefused) faults.clear(queueRegistry.mail.refusalCheck);
    state.isRefused = false;
    logQueueFull(deps, state, added === 'no room');
    return added === BATCH_SIZE ? 0 : jittered(intervalMs, JITTER);
  } catch (error) {
    if (state.failures === 0) log.warn({ err: error }, 'relay failed; messages wait in the outbox');
    state.failures += 1;
    const refusal = refusalOfRedis(error) ?? refusalOfRedis((error as Error).cause);
    if (refusal && state.failures >= FAILURES_BEFORE_FAULT) {
      state.isRefused = true;
      raiseRefusal(faults, 'mail', refusal);
    }
    return jittered(Math.min(intervalMs * 2 ** state.failures, MAX_BACKOFF_MS), JITTER);
  }
}

async function detectDataLoss(
  { queues, log, onDataLoss }: RelayDeps,
  state: RelayState,
): Promise<void> {
  const epoch = await queues.epoch();
  if (state.epoch !== undefined && state.epoch !== epoch) {
    log.warn('Redis data loss detected; sweeping all messages');
    onDataLoss();
  }
  state.epoch = epoch;
}

function logQueueFull({ log }: RelayDeps, state: RelayState, isFull: boolean): void {
  if (isFull === state.isQueueFull) return;
  state.isQueueFull = isFull;
  if (isFull) log.warn('mail queue full; messages wait in the outbox');
  else log.info('mail queue accepts jobs again');
}

/**
 * Resolves to how many messages were added to the queue.
 * @throws when Redis did not accept all of them; those that it accepted are marked all the same.
 */
async function relayBatch(
  { database, queues, failpoint, metrics, tracer }: RelayDeps,
  graceMs: number,
): Promise<number | 'no room'> {
  const batch = await withTransaction(database, async (tx) => {
    const messages = await lockPending(database, tx, { graceMs, limit: BATCH_SIZE });
    if (messages.length === 0) return { added: 0, refused: undefined };
    const bytes = messages.length * OUTBOX_JOB_BYTES;
    if (!(await queues.room.mail.has(bytes, messages.length)))
      return { added: 'no room' as const, refused: undefined };
    // Not `Promise.all`: every add must have ended before the locks are released.
    const results = await Promise.allSettled(
      messages.map((message) =>
        within(openSpan(tracer, message, enqueueSpan('mail', outboxJobId(message))), () =>
          addJob(queues.mail, message),
        ),
      ),
    );
    const added = messages.filter((_, i) => results[i]?.status === 'fulfilled');
    failpoint('after-add');
    await markEnqueued(database, added, tx);
    const refused = results.find((result) => result.status === 'rejected');
    return { added: added.length, refused };
  });
  if (batch.added !== 'no room') metrics.add('rollcall_relayed_messages_total', batch.added);
  if (batch.refused)
    throw new Error('Redis did not take every job', { cause: batch.refused.reason });
  return batch.added;
}

/** A message that waits for its job, and the request that caused it. */
type PendingMessage = OutboxJobSource & TraceParent;

/**
 * Locks pending messages that are due, oldest first, and skips rows that another relay has locked. Messages younger than
 * the grace period are left to the API, which enqueues right after its commit.
 */
function lockPending(
  database: Database,
  tx: Transaction,
  { graceMs, limit }: { readonly graceMs: number; readonly limit: number },
): Promise<PendingMessage[]> {
  return database.query<PendingMessage>(
    `select id, name, generation, trace_id as "traceId", span_id as "spanId", is_sampled as "isSampled"
       from outbox
      where state = 'pending' and available_at <= now()
        and created_at < now() - $graceMs * interval '1 millisecond'
      order by available_at
      limit $limit
        for update skip locked`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { graceMs, limit } },
  );
}

/** Adds the job. A key of another type under its id is removed, so that the next attempt succeeds. */
async function addJob(mail: Queues['mail'], message: OutboxJobSource): Promise<void> {
  try {
    await mail.add(outboxJob(message));
  } catch (error) {
    if (isWrongType(error)) await mail.discard(outboxJobId(message));
    throw error;
  }
}
