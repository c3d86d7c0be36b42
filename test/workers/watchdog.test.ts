import test from 'ava';
import { startWatchdog } from '../../workers/jobs/watchdog.js';
import { shareProcess, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';

shareProcess();

test('a worker that takes nothing while jobs wait is reported, once', async (t) => {
  const { reports, messages, looks } = setUpWatchdog(t, { idleMs: 100, runnable: 3 });
  await eventually(() => looks() > 5);
  t.is(reports(), 1);
  t.deepEqual(messages(), ['queue consumer stalled']);
});

test('a worker that is idle because nothing waits is left alone', async (t) => {
  const { reports, looks } = setUpWatchdog(t, { idleMs: 100, runnable: 0 });
  await eventually(() => looks() > 5);
  t.is(reports(), 0);
});

test('a worker that took a job lately is left alone, however many wait', async (t) => {
  const { reports, turns } = setUpWatchdog(t, { idleMs: 49, runnable: 3 });
  await eventually(() => turns() > 5);
  t.is(reports(), 0);
});

test('a worker that Redis refused something lately is left alone: a new one would fare no better', async (t) => {
  const { reports, turns } = setUpWatchdog(t, { idleMs: 100, runnable: 3, refusedMs: 49 });
  await eventually(() => turns() > 5);
  t.is(reports(), 0);
});

test('with Redis away nobody is to blame', async (t) => {
  const { reports, looks } = setUpWatchdog(t, {
    idleMs: 100,
    runnable: new Error('Redis is away'),
  });
  await eventually(() => looks() > 5);
  t.is(reports(), 0);
});

interface Situation {
  readonly idleMs: number;
  readonly runnable: number | Error;
  readonly refusedMs?: number;
}

function setUpWatchdog(scope: Scope, { idleMs, runnable, refusedMs = Infinity }: Situation) {
  const { log, messages } = createRecordingLogger();
  let reports = 0;
  let looks = 0;
  let turns = 0;
  const watchdog = startWatchdog(
    {
      producer: {
        async countRunnable() {
          looks += 1;
          if (runnable instanceof Error) throw runnable;
          return runnable;
        },
      },
      idleMs() {
        turns += 1;
        return idleMs;
      },
      refusals: { sinceLastMs: () => refusedMs },
      log,
      onStalled: () => void (reports += 1),
    },
    { checkEveryMs: 5, stalledAfterMs: 50 },
  );
  scope.teardown(() => watchdog.stop());
  return { messages, reports: () => reports, looks: () => looks, turns: () => turns };
}
