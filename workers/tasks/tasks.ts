import type { Database } from '../../shared/database/connect.js';
import { jittered, startRepeating, type Repeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import { HOUSEKEEPING_SECONDS, type TaskName } from '../../shared/tasks/catalogue.js';
import type { Sweep } from '../relay/sweep.js';
import { purgeExpired } from './purge-expired.js';
import { rotateAudit } from './rotate-audit.js';
import type { TaskRuns } from './task-runs.js';

/** What a task did, as counts, by names in snake_case: they are labels in the log and fields of the answer. */
export type TaskResult = Readonly<Record<string, number>>;

/** Maintenance tasks: short and idempotent. */
export interface Tasks {
  /**
   * Runs a task, or joins the run in flight. A completed run is logged with its counts; one cut short by a stop is not.
   * @param requestId the request that asks for it, if one does.
   * @throws when it failed; it can be run again.
   */
  run(name: TaskName, requestId?: string): Promise<TaskResult>;
  /** Asks runs in flight to end early, and resolves when they have. A later run begins no batch. */
  stop(): Promise<void>;
}

export interface TaskDeps {
  readonly database: Database;
  /** Records its runs itself. */
  readonly sweep: Sweep;
  readonly runs: TaskRuns;
  readonly log: Logger;
}

/** See {@link Tasks}. */
export function createTasks(deps: TaskDeps): Tasks {
  const stopping = new AbortController();
  const inFlight = new Map<TaskName, Promise<TaskResult>>();
  return {
    run(name, requestId) {
      const run =
        inFlight.get(name) ??
        runAndLog(deps, name, requestId, stopping.signal).finally(() => inFlight.delete(name));
      inFlight.set(name, run);
      return run;
    },
    async stop() {
      stopping.abort();
      await Promise.allSettled(inFlight.values());
    },
  };
}

async function runAndLog(
  deps: TaskDeps,
  name: TaskName,
  requestId: string | undefined,
  signal: AbortSignal,
): Promise<TaskResult> {
  const startedAt = process.hrtime.bigint();
  const result = await taskFunctions[name](deps, signal);
  // A run that was asked to stop may be incomplete.
  if (!signal.aborted) {
    deps.log.info(
      {
        'labels.task': name,
        ...labels(result),
        'event.duration': Number(process.hrtime.bigint() - startedAt),
        'event.outcome': 'success',
        ...(requestId !== undefined && { 'http.request.id': requestId }),
      },
      'task completed',
    );
  }
  return result;
}

type TaskFunction = (deps: TaskDeps, signal: AbortSignal) => Promise<TaskResult>;

const taskFunctions: Readonly<Record<TaskName, TaskFunction>> = {
  'sweep-outbox': async ({ sweep }, signal) => ({ ...(await sweep.run({ signal })) }),
  'purge-expired': ({ database, runs }, signal) =>
    runs.record('purge-expired', signal, async () => ({
      ...(await purgeExpired(database, signal)),
    })),
  'rotate-audit': ({ database, runs }, signal) =>
    runs.record('rotate-audit', signal, async () => ({ ...(await rotateAudit(database, signal)) })),
};

const labels = (counts: TaskResult): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [`labels.${name}`, count]));

const HOUSEKEEPING: readonly TaskName[] = ['rotate-audit', 'purge-expired'];
const FIRST_AFTER_MS = 10_000;
const EVERY_MS = HOUSEKEEPING_SECONDS * 1_000;

/** The pause after a run that has left something to do: a busy service settles more than one run can delete. */
const UNFINISHED_AGAIN_MS = 60_000;
/** The pause after a run that failed. */
const FAILED_AGAIN_MS = 600_000;

/**
 * Runs the tasks that keep the tables small, four times a day until stopped, and again after a minute while a run does not
 * finish its work, or after ten when one has failed, so that no external scheduler is needed. Every worker with the relay role
 * does; the tasks are idempotent.
 */
export function startHousekeeping(tasks: Tasks, log: Logger): Repeating {
  return startRepeating(
    (signal) => runHousekeeping(tasks, log, signal),
    jittered(FIRST_AFTER_MS, 0.5),
  );
}

async function runHousekeeping(tasks: Tasks, log: Logger, signal: AbortSignal): Promise<number> {
  let nextMs = EVERY_MS;
  for (const name of HOUSEKEEPING) {
    if (signal.aborted) break;
    try {
      const { unfinished = 0 } = await tasks.run(name);
      if (unfinished > 0) nextMs = UNFINISHED_AGAIN_MS;
    } catch (error) {
      log.warn({ err: error, 'labels.task': name }, 'task failed; will retry');
      nextMs = Math.min(nextMs, FAILED_AGAIN_MS);
    }
  }
  return jittered(nextMs, 0.1);
}
