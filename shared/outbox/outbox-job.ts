import * as z from 'zod';
import { defineJob, isOtherVersion, type JobContract } from '../queues/job-contract.js';
import type { NewJob } from '../queues/job-queue.js';

/** The data of an outbox message's job: where to find the message, nothing of its content. */
export const OutboxJobData = z.strictObject({
  v: z.literal(1),
  outbox_id: z.uuid(),
  generation: z.int().min(0),
});

/** What every job of the queue `mail` carries. */
export const outboxJobs = { queue: 'mail', schema: OutboxJobData } as const;

/** The job of one outbox message; it has the message's name. */
type OutboxJobContract = JobContract<'mail', string, typeof OutboxJobData>;

/** The parts of an outbox message that make its job. */
export interface OutboxJobSource {
  readonly id: string;
  readonly name: string;
  readonly generation: number;
}

/** The only id of a message's job, which makes adding it idempotent. */
export const outboxJobId = ({
  id,
  generation,
}: Pick<OutboxJobSource, 'id' | 'generation'>): string => `o-${id}-${generation}`;

/** Redis memory of one message's job, including its share of the event stream; measured. */
export const OUTBOX_JOB_BYTES = 1_024;

/** The job of a message, ready to be added. */
export function outboxJob(source: OutboxJobSource): NewJob<OutboxJobContract> {
  return {
    id: outboxJobId(source),
    contract: defineJob({ ...outboxJobs, name: source.name }),
    data: { v: 1, outbox_id: source.id, generation: source.generation },
  };
}

/**
 * True for the data of this message's job, and for data of another version, which this process cannot judge.
 */
export function isJobOf(
  { id, generation }: Pick<OutboxJobSource, 'id' | 'generation'>,
  data: unknown,
): boolean {
  const read = OutboxJobData.safeParse(data);
  if (!read.success) return isOtherVersion(data, read.error);
  return read.data.outbox_id === id && read.data.generation === generation;
}
