/** Something that is done again and again until it is stopped. */
export interface Repeating {
  /** Begins the next turn now, or right after the one under way. */
  hurry(): void;
  /** Asks the turn under way to end and resolves when it has; no other follows. */
  stop(): Promise<void>;
}

/** How turns are waited for. */
export interface RepeatOptions {
  /** Whether the process may end by itself during a pause. */
  readonly unref?: boolean;
}

/**
 * Runs turns one after another, each after the pause that the one before asked for, until stopped. A turn that throws
 * would end it: turns handle their own errors.
 * @param turn does the work, and ends early when the signal aborts; resolves to the milliseconds to pause.
 * @param firstPauseMs milliseconds before the first turn; with 0 it begins at once, before this returns.
 */
export function startRepeating(
  turn: (signal: AbortSignal) => Promise<number>,
  firstPauseMs: number,
  { unref = false }: RepeatOptions = {},
): Repeating {
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<void> = Promise.resolve();

  let isUnderWay = false;
  let isHurried = false;

  const begin = (): void => {
    isUnderWay = true;
    isHurried = false;
    underWay = turn(stopping.signal).then((pauseMs) => {
      isUnderWay = false;
      schedule(isHurried ? 0 : pauseMs);
    });
  };
  const schedule = (pauseMs: number): void => {
    if (stopping.signal.aborted) return;
    timer = setTimeout(begin, pauseMs);
    if (unref) timer.unref();
  };
  if (firstPauseMs === 0) begin();
  else schedule(firstPauseMs);

  return {
    hurry() {
      isHurried = true;
      if (isUnderWay) return;
      clearTimeout(timer);
      schedule(0);
    },
    async stop() {
      stopping.abort();
      clearTimeout(timer);
      await underWay;
    },
  };
}

/** The pause, give or take this part of it, so that the processes of a fleet do not act in step. */
export const jittered = (pauseMs: number, part: number): number =>
  pauseMs * (1 - part + 2 * part * Math.random());
