import type { Receipts } from '../../shared/queues/receipts.js';
import { MISCONFIGURED_PAUSE_MS, type DependencyFaults } from '../jobs/dependency-faults.js';
import type { SharedFault } from '../jobs/recovery-checks.js';

export interface FirehoseFaultDeps {
  readonly receipts: Pick<Receipts, 'hasWrittenWithin'>;
  readonly faults: DependencyFaults;
}

/** That Firehose refuses this worker: over once any worker has shipped a batch since. */
export const firehoseFault = (
  { receipts, faults }: FirehoseFaultDeps,
  quietMs = 2 * MISCONFIGURED_PAUSE_MS,
): SharedFault => ({
  check: 'firehose',
  quietMs,
  metAt: () => faults.raisedAt('firehose'),
  hasServedWithin: (ms) => receipts.hasWrittenWithin(ms),
  clear: () => faults.clear('firehose'),
});
