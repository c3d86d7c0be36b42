import type { Database } from '../../../shared/database/connect.js';
import type { DependencyFaults } from '../../jobs/dependency-faults.js';
import type { SharedFault } from '../../jobs/recovery-checks.js';
import { closeBreaker, isOpen, type CircuitBreaker } from './circuit-breaker.js';
import { hasSentWithin } from './refusal-history.js';

export interface MailServerFaultsDeps {
  readonly database: Database;
  readonly faults: DependencyFaults;
  readonly breaker: CircuitBreaker;
}

const QUIET_MS = 15_000;

/** That the mail server refuses this worker, and that it is out of reach: over once any worker has sent a mail since. */
export function mailServerFaults(
  { database, faults, breaker }: MailServerFaultsDeps,
  quietMs = QUIET_MS,
): SharedFault[] {
  const shared = {
    check: 'smtp',
    quietMs,
    hasServedWithin: (ms: number) => hasSentWithin(database, ms),
  } as const;
  return [
    { ...shared, metAt: () => faults.raisedAt('smtp'), clear: () => faults.clear('smtp') },
    {
      ...shared,
      metAt: () => (isOpen(breaker) ? breaker.failedAt : undefined),
      clear: () => closeBreaker(breaker),
    },
  ];
}
