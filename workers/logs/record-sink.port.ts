/** A record that was not accepted although its call succeeded. */
export interface Refusal {
  /** The record's place in the call. */
  readonly position: number;
  readonly reason: string;
  /** The stream is too busy; the record is not at fault. */
  readonly isThrottling: boolean;
}

/** A stream of log records. Calls are limited in size. */
export interface RecordSink {
  /**
   * Puts the records in one call. Resolves to those that were not accepted although the call succeeded: they may be put
   * again.
   * @throws {SinkFailure} and nothing else.
   */
  put(records: readonly Buffer[], signal: AbortSignal): Promise<readonly Refusal[]>;
  close(): Promise<void>;
}

/**
 * What a failed call means:
 * - `unavailable`: the sink is throttling, down or unreachable; the records are not at fault
 * - `misconfigured`: no call can succeed until an operator fixes the configuration
 * - `invalid`: at least one record in this call will never be accepted
 */
export type SinkFailureEffect = 'unavailable' | 'misconfigured' | 'invalid';

/** A call that failed as a whole. */
export class SinkFailure extends Error {
  override readonly name = 'SinkFailure';
  constructor(
    readonly effect: SinkFailureEffect,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
