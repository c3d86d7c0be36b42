import {
  dependencyCheckNames,
  type Check,
  type DependencyCheck,
} from '../../shared/health/checks.js';

/** Faults of dependencies that no retry overcomes until an operator acts: wrong settings, or a Redis that refuses commands. */
export interface DependencyFaults {
  /** @param problem what the dependency answered, without addresses and secrets. */
  raise(check: DependencyCheck | Condition, problem: string): void;
  clear(check: DependencyCheck | Condition): void;
  /** For readiness: each fails from the fault until the next success. */
  readonly checks: Readonly<Record<DependencyCheck, Check>>;
  /** The same, and conditions: what this process knows and shows of itself. */
  readonly facts: Readonly<Record<DependencyCheck | Condition, Check>>;
}

/** What passes without an operator and does not make the process unready: the mail server is out of reach. */
type Condition = 'smtp_circuit';

/** Starts without faults. */
export function createDependencyFaults(): DependencyFaults {
  const problems = new Map<DependencyCheck | Condition, string>();
  const checkOf =
    (name: DependencyCheck | Condition): Check =>
    async () => {
      const problem = problems.get(name);
      return problem === undefined ? { ok: true } : { ok: false, problem };
    };
  const checks = Object.fromEntries(
    dependencyCheckNames.map((name) => [name, checkOf(name)]),
  ) as Record<DependencyCheck, Check>;
  return {
    raise: (name, problem) => void problems.set(name, problem),
    clear: (name) => void problems.delete(name),
    checks,
    facts: { ...checks, smtp_circuit: checkOf('smtp_circuit') },
  };
}
