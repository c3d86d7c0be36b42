/** A repeated task. */
export interface Repeating {
  /** Starts the next run now, or right after the current one. */
  runNow(): void;
  /** Aborts the current run and resolves when it has ended; no other follows. */
  stop(): Promise<void>;
}

export interface RepeatOptions {
  /** Lets the process exit during a pause. */
  readonly unref?: boolean;
}

/**
 * Runs a task repeatedly until stopped, never overlapping, each run after the pause that the last one asked for. The task
 * handles its own errors: a rejection is unhandled and ends the process.
 * @param task ends early when the signal aborts; resolves to the milliseconds to pause.
 * @param firstPauseMs milliseconds before the first run; with 0 it starts before this function returns.
 */
export function startRepeating(
  task: (signal: AbortSignal) => Promise<number>,
  firstPauseMs: number,
  { unref = false }: RepeatOptions = {},
): Repeating {
  const repetition: Repetition = {
    task,
    unref,
    stopping: new AbortController(),
    timer: undefined,
    current: Promise.resolve(),
    isRunning: false,
    isDueNow: false,
  };
  if (firstPauseMs === 0) run(repetition);
  else schedule(repetition, firstPauseMs);
  return { runNow: () => runNow(repetition), stop: () => stop(repetition) };
}

interface Repetition {
  readonly task: (signal: AbortSignal) => Promise<number>;
  readonly unref: boolean;
  readonly stopping: AbortController;
  timer: NodeJS.Timeout | undefined;
  /** The last run, in progress or not. */
  current: Promise<void>;
  isRunning: boolean;
  /** Whether the next run follows the current one without a pause. */
  isDueNow: boolean;
}

function run(repetition: Repetition): void {
  repetition.isRunning = true;
  repetition.isDueNow = false;
  repetition.current = repetition.task(repetition.stopping.signal).then((pauseMs) => {
    repetition.isRunning = false;
    schedule(repetition, repetition.isDueNow ? 0 : pauseMs);
  });
}

function schedule(repetition: Repetition, pauseMs: number): void {
  if (repetition.stopping.signal.aborted) return;
  repetition.timer = setTimeout(() => run(repetition), pauseMs);
  if (repetition.unref) repetition.timer.unref();
}

function runNow(repetition: Repetition): void {
  repetition.isDueNow = true;
  if (repetition.isRunning) return;
  clearTimeout(repetition.timer);
  schedule(repetition, 0);
}

async function stop(repetition: Repetition): Promise<void> {
  repetition.stopping.abort();
  clearTimeout(repetition.timer);
  await repetition.current;
}

/** The pause with random jitter of ± this share, so that many processes do not run in step. */
export const jittered = (pauseMs: number, share: number): number =>
  pauseMs * (1 - share + 2 * share * Math.random());
