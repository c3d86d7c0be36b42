import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { jittered, startRepeating } from '../../shared/lifecycle/repeat.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { Logger } from '../../shared/logging/logger.js';
import { maskPersonalData } from '../../shared/logging/mask.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import type { LogMessage } from '../../shared/logging/messages.js';
import { isJobOf, outboxJobId } from '../../shared/outbox/outbox-job.js';
import type { JobQueue } from '../../shared/queues/job-queue.js';
import type { JobState } from '../../shared/queues/job-state.js';
import { taskCatalogue } from '../../shared/tasks/catalogue.js';
import {
  changeEnqueued,
  deadLetter,
  lockSweep,
  staleBefore,
  staleMessages,
  type Change,
  type EnqueuedMessage,
  type Position,
} from './enqueued-messages.js';

/** How many messages a sweep changed. */
export interface SweepResult {
  /** Their job is where it should be. */
  readonly checked: number;
  /** Their job was lost; they are pending again. */
  readonly returned: number;
  readonly dead_lettered: number;
}

export interface SweepScope {
  /** Messages that were enqueued or checked more recently are skipped. */
  readonly minAgeMs: number;
  readonly maxMessages: number;
  /** Whether to wait for another sweep that runs, so that all is checked, or to leave the work to it. */
  readonly waits: boolean;
  /** Ends the sweep between two chunks. */
  readonly signal?: AbortSignal | undefined;
}

/** Compares the enqueued messages of the outbox with the jobs in Redis. */
export interface Sweep {
  /**
   * Checks enqueued messages, in chunks that no two sweeps of the fleet check at the same time.
   * @throws when the database does not answer, {@link AppError} `unavailable` when Redis does not: what has not been checked is
   *   unchanged.
   */
  run(scope?: Partial<SweepScope>): Promise<SweepResult>;
}

export interface SweepDeps {
  readonly database: Database;
  readonly queue: Pick<JobQueue, 'stateOf' | 'discard' | 'removeCorruptKeys'>;
  /** Removes keys that hide the log batches; resolves to their names. A failure does not affect the messages. */
  readonly repairLogs?: () => Promise<string[]>;
  readonly metrics: Pick<Metrics, 'add'>;
  readonly log: Logger;
}

const routineScope: SweepScope = { minAgeMs: 60_000, maxMessages: 500, waits: false };
/** After a possible loss of Redis's data. */
const everything: SweepScope = { minAgeMs: 0, maxMessages: Infinity, waits: true };

const CHUNK_SIZE = 50;
/** A job that is lost so often is renewed: a corrupt one is in no list, but its id would be refused for ever. */
const RENEW_AT_ENQUEUE_COUNT = 2;
/** A message whose jobs have failed so often is dead-lettered. */
const MAX_ENQUEUE_COUNT = 10;
const INTERVAL_MS = taskCatalogue['sweep-outbox'].everySeconds * 1_000;
/** After a failed sweep of everything. */
const RETRY_AFTER_MS = 5_000;
/** Redis's client needs a moment to connect. */
const FIRST_AFTER_MS = 2_000;

/**
 * A sweep that repairs messages whose job was lost, failed or is corrupt. The outbox is the source of truth: such a message
 * gets another job, up to a limit.
 */
export const createSweep = (deps: SweepDeps): Sweep => ({
  run: (scope = {}) => sweepOutbox(deps, { ...routineScope, ...scope }),
});

/** Sweeps all messages, as after a loss of Redis's data. */
export const sweepEverything = (sweep: Sweep, signal?: AbortSignal): Promise<SweepResult> =>
  sweep.run({ ...everything, signal });

/** Repeated sweeps. */
export interface Sweeping {
  /** Sweeps all messages as soon as possible, because Redis may have lost its data; returns at once. */
  everything(): void;
  stop(): Promise<void>;
}

/**
 * Sweeps all messages once, because Redis may have lost its data while no worker ran, and then stale ones every 30 seconds
 * until stopped. A failed sweep is logged and retried at the next interval; one of all messages sooner.
 */
export function startSweeping(sweep: Sweep, log: Logger, intervalMs = INTERVAL_MS): Sweeping {
  const state = { isEverythingDue: true };
  const sweeping = startRepeating(
    (signal) => sweepOnce(sweep, log, state, intervalMs, signal),
    jittered(Math.min(intervalMs, FIRST_AFTER_MS), 0.5),
  );
  return {
    everything() {
      state.isEverythingDue = true;
      sweeping.runNow();
    },
    stop: () => sweeping.stop(),
  };
}

/** Resolves to the milliseconds until the next sweep. */
async function sweepOnce(
  sweep: Sweep,
  log: Logger,
  state: { isEverythingDue: boolean },
  intervalMs: number,
  signal: AbortSignal,
): Promise<number> {
  const isOfEverything = state.isEverythingDue;
  state.isEverythingDue = false;
  try {
    await (isOfEverything ? sweepEverything(sweep, signal) : sweep.run({ signal }));
  } catch (error) {
    state.isEverythingDue ||= isOfEverything;
    log.warn({ err: error }, 'sweep failed');
  }
  const pauseMs = state.isEverythingDue ? Math.min(intervalMs, RETRY_AFTER_MS) : intervalMs;
  return jittered(pauseMs, 0.1);
}

async function sweepOutbox(
  deps: SweepDeps,
  { minAgeMs, maxMessages, waits, signal }: SweepScope,
): Promise<SweepResult> {
  await removeCorruptKeys(deps);
  await repairLogs(deps);
  const total = { checked: 0, returned: 0, dead_lettered: 0 };
  let cutoff: string | undefined;
  let after: Position | undefined;
  for (let left = maxMessages; left > 0 && !signal?.aborted;) {
    const limit = Math.min(CHUNK_SIZE, left);
    // Each chunk is a short transaction that updates rows at its very end: a worker that settles one of these messages
    // must not wait for the sweep.
    const result = await withTransaction(deps.database, async (tx) => {
      if (!(await lockSweep(deps.database, tx, waits))) return undefined;
      cutoff ??= await staleBefore(deps.database, tx, minAgeMs);
      const messages = await staleMessages(deps.database, tx, { cutoff, after, limit });
      const last = messages.length < limit ? undefined : messages.at(-1);
      return { last, ...(await repairMessages(deps, tx, messages)) };
    });
    if (!result) break;
    // What is left of corrupt jobs in Redis would trip whatever reads it.
    await Promise.all(result.corruptJobIds.map((id) => deps.queue.discard(id)));
    after = result.last;
    left = after ? left - limit : 0;
    total.checked += result.checked;
    total.returned += result.returned;
    total.dead_lettered += result.dead_lettered;
    if (result.dead_lettered > 0)
      deps.metrics.add('rollcall_mail_outcomes_total', result.dead_lettered, { outcome: 'dead' });
  }
  if (total.returned + total.dead_lettered > 0) {
    deps.log.warn(
      {
        'labels.checked': total.checked,
        'labels.returned': total.returned,
        'labels.dead_lettered': total.dead_lettered,
      },
      'sweep repaired messages without a job',
    );
  }
  return total;
}

/** A key of another type in the queue's place hides every job, and its content is lost. */
async function removeCorruptKeys({ queue, log }: SweepDeps): Promise<void> {
  const names = await queue.removeCorruptKeys().catch((cause: unknown) => {
    throw new AppError('unavailable', { detail: 'the queue could not be seen', cause });
  });
  if (names.length > 0)
    log.error({ 'labels.keys': names.join(', ') }, 'corrupt queue keys removed');
}

async function repairLogs({ repairLogs: repair, log }: SweepDeps): Promise<void> {
  try {
    const names = (await repair?.()) ?? [];
    if (names.length > 0)
      log.error({ 'labels.keys': names.join(', ') }, 'corrupt log queue keys removed');
  } catch (error) {
    log.warn({ err: error }, 'log queue check failed');
  }
}

/** A message, the state of its job, and what to do about it. */
interface CheckedMessage {
  readonly message: EnqueuedMessage;
  readonly state: JobState;
  readonly action: Change | 'dead-letter';
}

/** Checks the jobs of the messages and changes the messages accordingly: all, or none if a job's state cannot be read. */
async function repairMessages(
  { database, queue, log }: SweepDeps,
  tx: Transaction,
  messages: readonly EnqueuedMessage[],
): Promise<SweepResult & { readonly corruptJobIds: readonly string[] }> {
  const checkedMessages = await checkJobs(queue, messages);
  const withAction = (action: CheckedMessage['action']): CheckedMessage[] =>
    checkedMessages.filter((checked) => checked.action === action);
  const change = (action: Change): Promise<string[]> =>
    changeEnqueued(
      database,
      tx,
      action,
      withAction(action).map(({ message }) => message),
    );
  const checked = await change('check');
  const returned = await change('return');
  const renewed = await change('renew');
  let deadLettered = 0;
  for (const { message, state } of withAction('dead-letter')) {
    const reason = maskPersonalData(state.failedReason ?? '') || `the job is ${state.state}`;
    if (await deadLetter(database, tx, message, reason)) deadLettered += 1;
  }
  // A message that was settled since it was read is not renewed: its job has done its work.
  const renewals = withAction('renew').filter(({ message }) => renewed.includes(message.id));
  for (const renewal of renewals) logRenewal(log, renewal);
  return {
    checked: checked.length,
    returned: returned.length + renewed.length,
    dead_lettered: deadLettered,
    corruptJobIds: renewals
      .filter(({ state }) => state.state === 'broken')
      .map(({ message }) => outboxJobId(message)),
  };
}

/** Logged for each message that gets a new job, by the state of the old one; a lost job is only counted. */
const RENEWALS: Readonly<Partial<Record<JobState['state'], LogMessage>>> = {
  completed: 'job completed but message open; redelivering',
  failed: 'job failed but message open; re-enqueueing',
  broken: 'job corrupt; re-enqueueing',
};

function logRenewal(log: Logger, { message, state }: CheckedMessage): void {
  const logMessage = RENEWALS[state.state];
  if (logMessage === undefined) return;
  log.warn(
    {
      'labels.outbox_id': message.id,
      'trace.id': message.traceId,
      'event.reason': maskPersonalData(state.failedReason ?? ''),
    },
    logMessage,
  );
}

async function checkJobs(
  queue: SweepDeps['queue'],
  messages: readonly EnqueuedMessage[],
): Promise<CheckedMessage[]> {
  const states = await Promise.allSettled(
    messages.map((message) =>
      queue.stateOf(outboxJobId(message), (data) => isJobOf(message, data)),
    ),
  );
  return messages.map((message, i) => {
    const state = states[i];
    if (state?.status !== 'fulfilled')
      throw new AppError('unavailable', {
        detail: 'a job could not be seen',
        cause: state?.reason,
      });
    return { message, state: state.value, action: actionFor(message, state.value) };
  });
}

function actionFor({ enqueueCount }: EnqueuedMessage, job: JobState): CheckedMessage['action'] {
  switch (job.state) {
    case 'unknown':
      return enqueueCount < RENEW_AT_ENQUEUE_COUNT ? 'return' : 'renew';
    case 'completed':
      return 'renew';
    case 'failed':
    case 'broken':
      // Workers record why they dead-letter a message. A job that failed without that was lost with its worker, or corrupt.
      return enqueueCount < MAX_ENQUEUE_COUNT ? 'renew' : 'dead-letter';
    case 'waiting':
    case 'delayed':
    case 'active':
      return 'check';
  }
}
