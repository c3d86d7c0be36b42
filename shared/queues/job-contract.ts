import type * as z from 'zod';
import type { QueueName } from './registry.js';

/** What every job of one kind carries. Producer and consumer import the same contract. */
export interface JobContract<
  Q extends QueueName = QueueName,
  N extends string = string,
  S extends z.ZodType = z.ZodType,
> {
  readonly queue: Q;
  /** What the job does, as a verb in the imperative. */
  readonly name: N;
  readonly schema: S;
}

/** The payload that a contract describes. */
export type JobPayload<C extends { readonly schema: z.ZodType }> = z.output<C['schema']>;

/** Declares one kind of job. */
export function defineJob<Q extends QueueName, N extends string, S extends z.ZodType>(
  contract: JobContract<Q, N, S>,
): JobContract<Q, N, S> {
  return Object.freeze(contract);
}

/**
 * True for data that name a version which their contract does not know: during a rollout, jobs and messages of a newer API
 * meet older workers.
 * @param error what the contract's schema says of the data.
 */
export const isOtherVersion = (data: unknown, { issues }: z.ZodError): boolean =>
  typeof data === 'object' &&
  data !== null &&
  'v' in data &&
  typeof data.v === 'number' &&
  issues.some(({ path }) => path.length === 1 && path[0] === 'v');
