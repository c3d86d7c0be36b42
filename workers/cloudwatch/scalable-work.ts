/** The state of one kind of work: the mails of the outbox, or the log lines of the spools. */
export interface WorkFacts {
  /** How much is due and waits for a worker. What is delayed until later, or in progress, does not count. */
  readonly waiting: number;
  /** How much all workers together did per second, over the last minute. */
  readonly donePerSecond: number;
  /** The most that all workers together may do per second, such as the SES account's rate; `Infinity` if there is no limit. */
  readonly limitPerSecond: number;
  /** The most that one worker does per second; more than zero. */
  readonly workerPerSecond: number;
  /**
   * True if within the last minute something held the work that no further worker could change: the queue was paused by
   * an operator or throttled, the mail server is away, a daily quota is used up, Firehose throttles, Redis refuses.
   */
  readonly isHeld: boolean;
}

/** What the number of workers should follow. */
export interface ScalableWork {
  /** How many workers the work needs, as a fraction: 2.3 means that three have time to spare. */
  readonly workersNeeded: number;
  /**
   * True while work waits that something holds. Then none should be removed either, since they are needed as soon as it
   * goes on.
   */
  readonly isHeld: boolean;
}

/** How the need is derived from the facts. */
export interface ScalingSettings {
  /** The part of a worker's time that is planned to be used, 0 to 1; the rest is for what comes while another one starts. */
  readonly utilisation: number;
  /** Within how many seconds what waits should be done. */
  readonly catchUpSeconds: number;
}

/** Why these: docs/scaling.md. */
export const scalingSettings: ScalingSettings = { utilisation: 0.7, catchUpSeconds: 30 };

/**
 * How many workers the work needs: what they do now, and what waits although a further worker could do it. Whatever else
 * waits counts as nothing, since it would not go faster: beyond the limit per second, or while the work is held.
 *
 * The need does not depend on how many workers there are, so a policy that follows it settles. What waits alone would not:
 * with enough workers nothing waits, so that one would be removed, and be missed a few minutes later.
 *
 * A worker does all kinds of work at the same time, mails by waiting for connections and lines by its CPU. So the
 * kind that needs most decides.
 */
export function scalableWork(
  facts: readonly WorkFacts[],
  settings: ScalingSettings = scalingSettings,
): ScalableWork {
  return {
    workersNeeded: Math.max(0, ...facts.map((each) => neededFor(each, settings))),
    isHeld: facts.some(({ isHeld, waiting }) => isHeld && waiting > 0),
  };
}

function neededFor(
  { waiting, donePerSecond, limitPerSecond, workerPerSecond, isHeld }: WorkFacts,
  { utilisation, catchUpSeconds }: ScalingSettings,
): number {
  const wantedPerSecond = donePerSecond + (isHeld ? 0 : waiting / catchUpSeconds);
  // So many reach the limit when they use all of their time; more of them would send no faster.
  const useful = Math.ceil(limitPerSecond / workerPerSecond);
  return Math.min(wantedPerSecond / (workerPerSecond * utilisation), useful);
}
