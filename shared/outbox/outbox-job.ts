import * as z from 'zod';
import { isOtherVersion } from '../jobs/define-job.js';
import type { NewJob } from '../queues/job-queue.js';

/** What a job that stands for an outbox message carries: where to find it, nothing of it. */
export const OutboxJobData = z.strictObject({
  v: z.literal(1),
  outbox_id: z.uuid(),
  generation: z.int().min(0),
});

/** The parts of an outbox message that make its job. */
export interface OutboxJobSource {
  readonly id: string;
  readonly name: string;
  readonly generation: number;
}

/** The one id that a message's job can have, so that adding it again does nothing. */
export const outboxJobId = ({
  id,
  generation,
}: Pick<OutboxJobSource, 'id' | 'generation'>): string => `o-${id}-${generation}`;

/** What a message's job takes of Redis's memory, its share of the event stream included; measured. */
export const OUTBOX_JOB_BYTES = 1_024;

/** The job that stands for a message. */
export function outboxJob(source: OutboxJobSource): NewJob {
  const data: z.input<typeof OutboxJobData> = {
    v: 1,
    outbox_id: source.id,
    generation: source.generation,
  };
  return { id: outboxJobId(source), name: source.name, data };
}

/**
 * True for the data of this message's job. Those of a version that this process does not know are a newer worker's to
 * judge.
 */
export function isJobOf(
  { id, generation }: Pick<OutboxJobSource, 'id' | 'generation'>,
  data: unknown,
): boolean {
  const { success, data: read } = OutboxJobData.safeParse(data);
  if (!success) return isOtherVersion(data);
  return read.outbox_id === id && read.generation === generation;
}
