import type * as z from 'zod';

/** A queue: one BullMQ queue under a prefix of its own. */
export type QueueName = 'mail' | 'logs';

/**
 * One kind of job, as both sides see it. Producer and consumer import the same contract, so a payload that the
 * consumer cannot read does not compile.
 */
export interface JobContract<N extends string = string, S extends z.ZodType = z.ZodType> {
  readonly queue: QueueName;
  /** What the job does, as a verb in the imperative. */
  readonly name: N;
  readonly schema: S;
}

/** The payload that a contract describes. */
export type JobPayload<C extends JobContract> = z.output<C['schema']>;

/** Declares one kind of job. */
export function defineJob<N extends string, S extends z.ZodType>(
  contract: JobContract<N, S>,
): JobContract<N, S> {
  return Object.freeze(contract);
}

/** True for data that say themselves that they are of another version: while a release is rolled out, jobs of a newer API meet older workers. */
export const isOtherVersion = (data: unknown): boolean =>
  typeof data === 'object' &&
  data !== null &&
  'v' in data &&
  typeof data.v === 'number' &&
  data.v !== 1;
