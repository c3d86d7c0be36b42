import type { Database } from '../../../shared/database/connect.js';
import { jittered, startRepeating } from '../../../shared/lifecycle/repeat.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { maskError } from '../../../shared/logging/mask.js';
import type { DependencyFaults } from '../../jobs/dependency-faults.js';
import { closeBreaker, isOpen, type CircuitBreaker } from './circuit-breaker.js';
import { hasSentWithin } from './refusal-history.js';

interface RecoveryDeps {
  readonly database: Database;
  readonly faults: DependencyFaults;
  readonly breaker: CircuitBreaker;
  readonly log: Logger;
}

const INTERVAL_MS = 15_000;

/**
 * Clears this worker's faults of the mail server once any worker has had a mail accepted since: with no mail to send, it
 * would not find out by itself. While there is no fault nothing is read.
 */
export function startRecoveryChecks(
  deps: RecoveryDeps,
  intervalMs = INTERVAL_MS,
): { stop(): Promise<void> } {
  const faults = faultsOf(deps);
  return startRepeating(async () => {
    for (const fault of faults) await checkRecovery(deps, fault, intervalMs);
    return jittered(intervalMs, 0.1);
  }, intervalMs);
}

interface ServerFault {
  /** When the worker last met it, by the monotonic clock; `undefined` without a fault. */
  metAt(): number | undefined;
  clear(): void;
}

const faultsOf = ({ faults, breaker }: RecoveryDeps): ServerFault[] => [
  { metAt: () => faults.raisedAt('smtp'), clear: () => faults.clear('smtp') },
  {
    metAt: () => (isOpen(breaker) ? breaker.failedAt : undefined),
    clear: () => closeBreaker(breaker),
  },
];

async function checkRecovery(
  { database, log }: RecoveryDeps,
  fault: ServerFault,
  intervalMs: number,
): Promise<void> {
  const metAt = fault.metAt();
  if (metAt === undefined) return;
  const sinceMs = performance.now() - metAt;
  // A worker that meets it again and again has mails to send, and knows better.
  if (sinceMs < intervalMs) return;
  try {
    const isOver = await hasSentWithin(database, sinceMs);
    if (isOver && fault.metAt() === metAt) fault.clear();
  } catch (error) {
    log.warn({ err: maskError(error) }, 'SMTP recovery check failed');
  }
}
