/**
 * How an attempt of a job may fail, named by the effect on job and queue. Any other error means: retry with growing
 * backoff, and count the attempt. None of these may hold an address, a link or a token.
 */

/** No retry can succeed: the job fails for good. */
export class PermanentFailure extends Error {
  override readonly name = 'PermanentFailure';
}

/** Every other job would fail the same way: the whole queue is throttled for a while. The attempt does not count. */
export class QueueThrottled extends Error {
  override readonly name: string = 'QueueThrottled';
  constructor(
    message: string,
    readonly pauseMs: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** As {@link QueueThrottled}; this job is delayed for longer, so that another one probes whether the queue may go on. */
export class QueueThrottledJobDelayed extends QueueThrottled {
  override readonly name = 'QueueThrottledJobDelayed';
  constructor(
    message: string,
    pauseMs: number,
    readonly delayMs: number,
  ) {
    super(message, pauseMs);
  }
}

/** The queue is throttled already, and the reason is logged: this job came meanwhile. */
export class QueueStillThrottled extends QueueThrottled {
  override readonly name = 'QueueStillThrottled';
}

/** Only this job is delayed. The attempt does not count. */
export class JobDelayed extends Error {
  override readonly name = 'JobDelayed';
  constructor(
    message: string,
    readonly delayMs: number,
  ) {
    super(message);
  }
}

/** The process is stopping and the job has had no effect yet: it returns to the queue. The attempt does not count. */
export class JobReturned extends Error {
  override readonly name = 'JobReturned';
  constructor() {
    super('returned to the queue at shutdown');
  }
}
