import {
  dependencyCheckNames,
  type Check,
  type CheckResult,
  type DependencyCheck,
  type ProblemKind,
} from '../../shared/health/checks.js';

/** Faults of dependencies that no retry overcomes until an operator acts: wrong settings, or a Redis that refuses commands. */
export interface DependencyFaults {
  /** @param problem what the dependency answered, without addresses and secrets. */
  raise(check: DependencyCheck | Condition, problem: string, kind?: ProblemKind): void;
  clear(check: DependencyCheck | Condition): void;
  /** When it was last raised, by the monotonic clock in milliseconds; `undefined` without a fault. */
  raisedAt(check: DependencyCheck | Condition): number | undefined;
  /** For readiness: each fails from the fault until the next success. */
  readonly checks: Readonly<Record<DependencyCheck, Check>>;
  /** The same, and conditions: what this process knows and shows of itself. */
  readonly facts: Readonly<Record<DependencyCheck | Condition, Check>>;
}

/** How long a queue pauses while a server refuses our settings, before it is tried again. */
export const MISCONFIGURED_PAUSE_MS = 60_000;

/** What passes without an operator and does not make the process unready: the mail server is out of reach. */
type Condition = 'smtp_circuit';

/** Starts without faults. */
export function createDependencyFaults(): DependencyFaults {
  const faults = new Map<DependencyCheck | Condition, { result: CheckResult; raisedAt: number }>();
  const checkOf =
    (name: DependencyCheck | Condition): Check =>
    async () =>
      faults.get(name)?.result ?? { ok: true };
  const checks = Object.fromEntries(
    dependencyCheckNames.map((name) => [name, checkOf(name)]),
  ) as Record<DependencyCheck, Check>;
  return {
    raise(name, problem, kind) {
      faults.set(name, { result: { ok: false, problem, kind }, raisedAt: performance.now() });
    },
    clear: (name) => void faults.delete(name),
    raisedAt: (name) => faults.get(name)?.raisedAt,
    checks,
    facts: { ...checks, smtp_circuit: checkOf('smtp_circuit') },
  };
}
