import type { DependencyCheck } from '../../shared/health/checks.js';
import { jittered, startRepeating } from '../../shared/lifecycle/repeat.js';
import type { Logger } from '../../shared/logging/logger.js';
import { maskError } from '../../shared/logging/mask.js';

/** A fault of a dependency that all workers use: one that has no work for it would not find out that it is over. */
export interface SharedFault {
  /** The readiness check that it fails, for the log. */
  readonly check: DependencyCheck;
  /** A worker that meets the fault again within so long has work for the dependency, and knows better. */
  readonly quietMs: number;
  /** When this worker last met it, by the monotonic clock; `undefined` without a fault. */
  metAt(): number | undefined;
  /** Resolves to whether the dependency has served any worker within the last so many milliseconds. */
  hasServedWithin(ms: number): Promise<boolean>;
  clear(): void;
}

const INTERVAL_MS = 15_000;

/** Clears this worker's faults once their dependency has served any worker since. While there is no fault nothing is read. */
export function startRecoveryChecks(
  faults: readonly SharedFault[],
  log: Logger,
  intervalMs = INTERVAL_MS,
): { stop(): Promise<void> } {
  return startRepeating(async () => {
    for (const fault of faults) await checkRecovery(fault, log);
    return jittered(intervalMs, 0.1);
  }, intervalMs);
}

async function checkRecovery(fault: SharedFault, log: Logger): Promise<void> {
  const metAt = fault.metAt();
  if (metAt === undefined) return;
  const sinceMs = performance.now() - metAt;
  if (sinceMs < fault.quietMs) return;
  try {
    const isOver = await fault.hasServedWithin(sinceMs);
    if (isOver && fault.metAt() === metAt) fault.clear();
  } catch (error) {
    const fields = { 'labels.check': fault.check, err: maskError(error) };
    log.warn(fields, 'recovery check failed');
  }
}
