import { setImmediate } from 'node:timers/promises';
import { mock } from 'node:test';
import test from 'ava';
import { startHousekeeping, type TaskResult } from '../../workers/tasks/tasks.js';
import { createRecordingLogger } from '../helpers/log.js';

const MINUTE_MS = 60_000;

test.serial(
  'a task that failed is run again after ten minutes, one with work left after one',
  async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    let purge = async (): Promise<TaskResult> => {
      throw new Error('no');
    };
    let runs = 0;
    const tasks = {
      async run(name: string): Promise<TaskResult> {
        if (name !== 'purge-expired') return {};
        runs += 1;
        return purge();
      },
      stop: async () => undefined,
    };
    const recording = createRecordingLogger();
    const housekeeping = startHousekeeping(tasks, recording.log);
    /** Passes the time, and lets what is due run. */
    const pass = async (ms: number): Promise<number> => {
      mock.timers.tick(ms);
      for (let i = 0; i < 10; i += 1) await setImmediate();
      return runs;
    };
    t.is(await pass(MINUTE_MS), 1);
    t.deepEqual(recording.messages(), ['task failed; will retry']);
    t.is(await pass(8 * MINUTE_MS), 1);
    purge = async () => ({ unfinished: 1 });
    t.is(await pass(4 * MINUTE_MS), 2);
    purge = async () => ({ unfinished: 0 });
    t.is(await pass(2 * MINUTE_MS), 3);
    t.is(await pass(60 * MINUTE_MS), 3, 'six hours later');
    mock.timers.reset();
    await housekeeping.stop();
  },
);
