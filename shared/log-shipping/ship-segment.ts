import type { JobQueue } from '../queues/job-queue.js';
import type { Receipts } from '../queues/receipts.js';
import { UNREADABLE_BATCH } from '../jobs/ship-log-batch.js';
import type { Segment } from './backlog.js';

/**
 * Where a batch is:
 * - `queued`: the queue has its job, waiting or being worked on
 * - `shipped`: the stream has taken all of it
 * - `failed`: the queue has given it up, and keeps its id
 * - `unreadable`: the same, because what arrived could not be unpacked
 * - `lost`: neither queue nor receipts know of it
 */
export type Whereabouts = 'queued' | 'shipped' | 'failed' | 'unreadable' | 'lost';

/** Who knows where batches are. */
export interface Witnesses {
  readonly queue: Pick<JobQueue, 'stateOf'>;
  readonly receipts: Pick<Receipts, 'find'>;
}

/** Made of the folder and the number of the segment, so that a batch that is enqueued twice is one job. */
export const jobIdOf = ({ folder, sequence, generation }: Segment): string =>
  `l-${folder.id}-${sequence}${generation === 0 ? '' : `-${generation}`}`;

/**
 * Asks the queue first and the receipts then: a job that was shipped and forgotten in between has left its receipt
 * before. @throws when Redis cannot be asked.
 */
export async function locate(id: string, { queue, receipts }: Witnesses): Promise<Whereabouts> {
  const { state, failedReason } = await queue.stateOf(id);
  if (state === 'waiting' || state === 'delayed' || state === 'active') return 'queued';
  if ((await receipts.find([id])).has(id)) return 'shipped';
  if (state === 'broken') return 'failed';
  if (state !== 'failed') return 'lost';
  return failedReason === UNREADABLE_BATCH ? 'unreadable' : 'failed';
}
