import type { Check } from '../../shared/health/readiness.js';

/** What may be at fault so that no try helps until an operator mends it: settings, or a Redis that refuses. */
export type FaultyPart = 'smtp' | 'firehose' | 'redis_refuses' | 'redis_refuses_logs';

/** What is at fault, as far as the dependencies have told. */
export interface FaultBoard {
  /** @param problem what the dependency said, without addresses and secrets. */
  raise(part: FaultyPart, problem: string): void;
  clear(part: FaultyPart): void;
  /** For readiness: red from the fault until the next success. */
  readonly checks: Readonly<Record<FaultyPart, Check>>;
}

/** A board without faults. */
export function createFaultBoard(): FaultBoard {
  const problems = new Map<FaultyPart, string>();
  const checkOf =
    (part: FaultyPart): Check =>
    async () => {
      const problem = problems.get(part);
      return problem === undefined ? { ok: true } : { ok: false, problem };
    };
  return {
    raise: (part, problem) => void problems.set(part, problem),
    clear: (part) => void problems.delete(part),
    checks: {
      smtp: checkOf('smtp'),
      firehose: checkOf('firehose'),
      redis_refuses: checkOf('redis_refuses'),
      redis_refuses_logs: checkOf('redis_refuses_logs'),
    },
  };
}
