import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { jittered, startRepeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { LogMessage } from '../../shared/logging/messages.js';
import { isJobOf, outboxJobId } from '../../shared/outbox/outbox-job.js';
import type { JobQueue } from '../../shared/queues/job-queue.js';
import type { JobState } from '../../shared/queues/job-state.js';
import { maskPersonalData } from '../mask.js';
import {
  buryEnqueued,
  changeEnqueued,
  dueBefore,
  neglectedMessages,
  takeSweepersPlace,
  type Change,
  type EnqueuedMessage,
  type Position,
} from './enqueued-messages.js';

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
  /** True: takes turns with another sweep that runs, so that all is seen; false: leaves it to that one. */
  readonly waits: boolean;
  /** Ends the sweep between two handfuls of messages. */
  readonly signal?: AbortSignal | undefined;
}

/** Compares what the database believes to be in Redis with what is there. */
export interface Sweep {
  /**
   * Looks after enqueued messages, a handful at a time. No two sweeps look at the same handful, here or elsewhere.
   * @throws when Redis or the database does not answer: what has not been seen is left as it was.
   */
  run(scope?: Partial<SweepScope>): Promise<SweepResult>;
}

export interface SweepDeps {
  readonly database: Database;
  readonly queue: Pick<JobQueue, 'stateOf' | 'discard' | 'removeForeignKeys'>;
  /** Removes what hides the log batches; resolves to its names. No message waits for it. */
  readonly repairLogs?: () => Promise<string[]>;
  readonly log: Logger;
}

/** What the sweep does of itself. */
const routine: SweepScope = { minAgeMs: 60_000, maxMessages: 500, waits: false };
/** What it does when all jobs may be lost. */
const everything: SweepScope = { minAgeMs: 0, maxMessages: Infinity, waits: true };

const CHUNK_SIZE = 50;
/** In no list and yet in Redis, a job's id would be refused for ever: one that is lost again gets another. */
const LOST_AGAIN = 2;
/** A message whose jobs have come to nothing so often is given up. */
const MAX_ENQUEUE_COUNT = 10;
const INTERVAL_MS = 30_000;
/** While everything is still to be looked at. */
const TRY_AGAIN_AFTER_MS = 5_000;
/** Redis's client needs a moment to connect. */
const FIRST_AFTER_MS = 2_000;

/**
 * Finds messages whose job was lost, has failed or is broken: see {@link Sweep}. The message is the truth: whatever has
 * become of its job, it gets another one, within bounds.
 */
export function createSweep(deps: SweepDeps): Sweep {
  return {
    async run(scope = {}) {
      const { minAgeMs, maxMessages, waits, signal } = { ...routine, ...scope };
      await removeForeignKeys(deps);
      await repairLogs(deps);
      const total = { checked: 0, returned: 0, buried: 0 };
      let cutoff: string | undefined;
      let after: Position | undefined;
      for (let left = maxMessages; left > 0 && !signal?.aborted;) {
        const limit = Math.min(CHUNK_SIZE, left);
        // Each handful has a short transaction of its own, and nothing is changed before its end: a worker that settles
        // one of these messages shall not wait for the sweep.
        const result = await withTransaction(deps.database, async (tx) => {
          if (!(await takeSweepersPlace(deps.database, tx, waits))) return undefined;
          cutoff ??= await dueBefore(deps.database, tx, minAgeMs);
          const messages = await neglectedMessages(deps.database, tx, { cutoff, after, limit });
          const last = messages.length < limit ? undefined : messages.at(-1);
          return { last, ...(await lookAfter(deps, tx, messages)) };
        });
        if (!result) break;
        // Whoever meets what is left of them in Redis would stumble over it.
        await Promise.all(result.broken.map((id) => deps.queue.discard(id)));
        after = result.last;
        left = after ? left - limit : 0;
        total.checked += result.checked;
        total.returned += result.returned;
        total.buried += result.buried;
      }
      if (total.returned + total.buried > 0) {
        deps.log.warn(
          {
            'labels.checked': total.checked,
            'labels.returned': total.returned,
            'labels.buried': total.buried,
          },
          'sweep repaired messages without a job',
        );
      }
      return total;
    },
  };
}

/** Sweeps everything, as after a loss of Redis's data. */
export const sweepEverything = (sweep: Sweep, signal?: AbortSignal): Promise<SweepResult> =>
  sweep.run({ ...everything, signal });

/** Sweeps that follow one another. */
export interface Sweeping {
  /** Everything is looked at now, because Redis may have lost its data; returns at once. */
  everything(): void;
  stop(): Promise<void>;
}

/**
 * Sweeps everything once, because Redis may have lost its data while nobody ran, and then every 30 seconds until stopped.
 * A sweep that cannot work says so and is tried again in its time; one of everything, soon.
 */
export function startSweeping(sweep: Sweep, log: Logger, intervalMs = INTERVAL_MS): Sweeping {
  let isEverythingDue = true;
  const turn = async (signal: AbortSignal): Promise<number> => {
    const isOfEverything = isEverythingDue;
    isEverythingDue = false;
    try {
      await (isOfEverything ? sweepEverything(sweep, signal) : sweep.run({ signal }));
    } catch (error) {
      isEverythingDue ||= isOfEverything;
      log.warn({ err: error }, 'sweep failed');
    }
    const pauseMs = isEverythingDue ? Math.min(intervalMs, TRY_AGAIN_AFTER_MS) : intervalMs;
    return jittered(pauseMs, 0.1);
  };
  const sweeping = startRepeating(turn, jittered(Math.min(intervalMs, FIRST_AFTER_MS), 0.5));
  return {
    everything() {
      isEverythingDue = true;
      sweeping.runNow();
    },
    stop: () => sweeping.stop(),
  };
}

/** A key that holds something else hides every job, and what it should hold is gone. */
async function removeForeignKeys({ queue, log }: SweepDeps): Promise<void> {
  const names = await queue.removeForeignKeys().catch((cause: unknown) => {
    throw new Error('the queue could not be seen', { cause });
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

/** What is to be done about a message, by the state of its job. */
interface Verdict {
  readonly message: EnqueuedMessage;
  readonly todo: Change | 'bury';
  readonly state: JobState;
}

/** Sees where the messages' jobs are and changes the messages accordingly: all of them or, when one is hidden, none. */
async function lookAfter(
  { database, queue, log }: SweepDeps,
  tx: Transaction,
  messages: readonly EnqueuedMessage[],
): Promise<SweepResult & { readonly broken: readonly string[] }> {
  const verdicts = await judge(queue, messages);
  const having = (todo: Verdict['todo']): Verdict[] =>
    verdicts.filter((verdict) => verdict.todo === todo);
  const change = (todo: Change): Promise<string[]> =>
    changeEnqueued(
      database,
      tx,
      todo,
      having(todo).map(({ message }) => message),
    );
  const checked = await change('check');
  const returned = await change('return');
  const renewed = await change('renew');
  let buried = 0;
  for (const { message, state } of having('bury')) {
    const reason = maskPersonalData(state.failedReason ?? '') || `the job is ${state.state}`;
    if (await buryEnqueued(database, tx, message, reason)) buried += 1;
  }
  // One that was settled since it was read has not been renewed: its job has done what it should.
  const again = having('renew').filter(({ message }) => renewed.includes(message.id));
  for (const { message, state } of again) {
    const what = RENEWALS[state.state];
    if (what === undefined) continue;
    log.warn(
      {
        'labels.outbox_id': message.id,
        'trace.id': message.traceId,
        'event.reason': maskPersonalData(state.failedReason ?? ''),
      },
      what,
    );
  }
  return {
    checked: checked.length,
    returned: returned.length + renewed.length,
    buried,
    broken: again
      .filter(({ state }) => state.state === 'broken')
      .map(({ message }) => outboxJobId(message)),
  };
}

/** What is told of each message that gets a new job, by the state of the old one; one that was lost needs no word. */
const RENEWALS: Readonly<Partial<Record<JobState['state'], LogMessage>>> = {
  completed: 'job completed but message open; redelivering',
  failed: 'job failed but message open; re-enqueueing',
  broken: 'job corrupt; re-enqueueing',
};

async function judge(
  queue: SweepDeps['queue'],
  messages: readonly EnqueuedMessage[],
): Promise<Verdict[]> {
  const states = await Promise.allSettled(
    messages.map((message) =>
      queue.stateOf(outboxJobId(message), (data) => isJobOf(message, data)),
    ),
  );
  return messages.map((message, i) => {
    const state = states[i];
    if (state?.status !== 'fulfilled')
      throw new Error('a job could not be seen', { cause: state?.reason });
    return { message, state: state.value, todo: todoFor(message, state.value) };
  });
}

function todoFor({ enqueueCount }: EnqueuedMessage, job: JobState): Verdict['todo'] {
  switch (job.state) {
    case 'unknown':
      return enqueueCount < LOST_AGAIN ? 'return' : 'renew';
    case 'completed':
      return 'renew';
    case 'failed':
    case 'broken':
      // Workers record why they give a message up. A job that failed without that was lost with its worker, or was no job.
      return enqueueCount < MAX_ENQUEUE_COUNT ? 'renew' : 'bury';
    case 'waiting':
    case 'delayed':
    case 'active':
      return 'check';
  }
}
