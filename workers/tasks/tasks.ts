import type { Database } from '../../shared/database/connect.js';
import type { Sweep } from '../relay/sweep.js';
import { purgeExpired } from './purge-expired.js';
import { rotateAudit } from './rotate-audit.js';

/** What a task did, by count. */
export type TaskResult = Readonly<Record<string, number>>;

/** The tasks that `POST /tasks/{name}` runs: all of them short, and harmless to run twice. */
export interface Tasks {
  readonly names: readonly string[];
  /**
   * Runs a task, or joins the run of it that is under way. Resolves to `undefined` when there is no such task.
   * @throws when it failed; it may simply be run again.
   */
  run(name: string): Promise<TaskResult | undefined>;
  /** Asks the runs under way to end before they are done, and resolves when they have. One that begins later does nothing. */
  stop(): Promise<void>;
}

/** What the tasks are made of. */
export interface TaskDeps {
  readonly database: Database;
  readonly sweep: Sweep;
}

/** The tasks by name. */
export function createTasks({ database, sweep }: TaskDeps): Tasks {
  const stopping = new AbortController();
  const { signal } = stopping;
  const tasks = new Map<string, () => Promise<TaskResult>>([
    ['sweep-outbox', async () => ({ ...(await sweep.run({ signal })) })],
    ['purge-expired', async () => ({ ...(await purgeExpired(database, signal)) })],
    ['rotate-audit', async () => ({ ...(await rotateAudit(database, signal)) })],
  ]);
  const underWay = new Map<string, Promise<TaskResult>>();
  return {
    names: [...tasks.keys()],
    async run(name) {
      const task = tasks.get(name);
      if (!task) return undefined;
      const run = underWay.get(name) ?? task().finally(() => underWay.delete(name));
      underWay.set(name, run);
      return run;
    },
    async stop() {
      stopping.abort();
      await Promise.allSettled(underWay.values());
    },
  };
}
