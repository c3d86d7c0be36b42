/**
 * How a try of a job may fail, named by what it means for the next try. Any other error means: try again later, with
 * growing delays, and count it. None of these may hold an address, a link or a token.
 */

/** No later try will do better: the job is given up. */
export class PermanentFailure extends Error {
  override readonly name = 'PermanentFailure';
}

/** It is not this job's fault, and every other job would fail the same way: the whole queue rests. Not counted. */
export class QueueThrottled extends Error {
  override readonly name: string = 'QueueThrottled';
  constructor(
    message: string,
    readonly restMs: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The queue rests as well, and this job comes back later than that: another one is to find out whether it may go on. */
export class QueueCutOff extends QueueThrottled {
  override readonly name = 'QueueCutOff';
  constructor(
    message: string,
    restMs: number,
    readonly delayMs: number,
  ) {
    super(message, restMs);
  }
}

/** The queue rests for a reason that has been told already. */
export class QueueResting extends QueueThrottled {
  override readonly name = 'QueueResting';
}

/** This job alone comes back later. Not counted. */
export class JobPostponed extends Error {
  override readonly name = 'JobPostponed';
  constructor(
    message: string,
    readonly delayMs: number,
  ) {
    super(message);
  }
}

/** This process is about to end and has done nothing that cannot be done again: another may have the job. Not counted. */
export class JobHandedBack extends Error {
  override readonly name = 'JobHandedBack';
  constructor() {
    super('handed back at shutdown');
  }
}
