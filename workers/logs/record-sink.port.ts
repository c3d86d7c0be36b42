/** Takes log records in calls of limited size. */
export interface RecordSink {
  /**
   * Puts the records in one call. Resolves to the positions of those that were not taken although the call succeeded:
   * they may be put again.
   * @throws {SinkFailure} and nothing else.
   */
  put(records: readonly Buffer[], signal: AbortSignal): Promise<readonly number[]>;
  close(): Promise<void>;
}

/**
 * What a failed call means:
 * - `unavailable`: nothing is wrong with the records; the sink is throttled, down or out of reach
 * - `misconfigured`: no call can succeed until an operator mends the settings
 * - `invalid`: something in this call will never be taken
 */
export type SinkFailureEffect = 'unavailable' | 'misconfigured' | 'invalid';

/** Why a whole call failed. */
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
