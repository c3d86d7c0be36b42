import type { Database } from '../../shared/database/connect.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Sweep } from '../relay/sweep.js';
import { purgeExpired } from './purge-expired.js';
import { rotateAudit } from './rotate-audit.js';

/** What a task did, by count. */
export type TaskResult = Readonly<Record<string, number>>;

const taskNames = ['sweep-outbox', 'purge-expired', 'rotate-audit'] as const;

/** What a task is called, in `POST /tasks/{name}` too. */
export type TaskName = (typeof taskNames)[number];

/** Whether there is such a task. */
export const isTaskName = (text: string): text is TaskName =>
  (taskNames as readonly string[]).includes(text);

/** What is to be done now and then: all of it short, and harmless to do twice. */
export interface Tasks {
  /**
   * Runs a task, or joins the run of it that is under way. A run that ends of itself is logged, with every count.
   * @param requestId the request that asks for it, if one does.
   * @throws when it failed; it may simply be run again.
   */
  run(name: TaskName, requestId?: string): Promise<TaskResult>;
  /** Asks the runs under way to end before they are done, and resolves when they have. One that begins later does nothing. */
  stop(): Promise<void>;
}

/** What the tasks are made of. */
export interface TaskDeps {
  readonly database: Database;
  readonly sweep: Sweep;
  readonly log: Logger;
}

/** The tasks by name. */
export function createTasks({ database, sweep, log }: TaskDeps): Tasks {
  const stopping = new AbortController();
  const { signal } = stopping;
  const tasks: Readonly<Record<TaskName, () => Promise<TaskResult>>> = {
    'sweep-outbox': async () => ({ ...(await sweep.run({ signal })) }),
    'purge-expired': async () => ({ ...(await purgeExpired(database, signal)) }),
    'rotate-audit': async () => ({ ...(await rotateAudit(database, signal)) }),
  };
  const underWay = new Map<TaskName, Promise<TaskResult>>();

  const start = async (name: TaskName, requestId: string | undefined): Promise<TaskResult> => {
    const startedAt = process.hrtime.bigint();
    const result = await tasks[name]();
    // One that was asked to stop may not be done.
    if (!signal.aborted) {
      log.info(
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
  };

  return {
    run(name, requestId) {
      const run = underWay.get(name) ?? start(name, requestId).finally(() => underWay.delete(name));
      underWay.set(name, run);
      return run;
    },
    async stop() {
      stopping.abort();
      await Promise.allSettled(underWay.values());
    },
  };
}

const labels = (counts: TaskResult): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [`labels.${name}`, count]));
