import {
  dependencyCheckNames,
  type Check,
  type DependencyCheck,
} from '../../shared/health/checks.js';

/** Faults of dependencies that no retry overcomes until an operator acts: wrong settings, or a Redis that refuses commands. */
export interface DependencyFaults {
  /** @param problem what the dependency answered, without addresses and secrets. */
  raise(check: DependencyCheck, problem: string): void;
  clear(check: DependencyCheck): void;
  /** For readiness: each fails from the fault until the next success. */
  readonly checks: Readonly<Record<DependencyCheck, Check>>;
}

/** Starts without faults. */
export function createDependencyFaults(): DependencyFaults {
  const problems = new Map<DependencyCheck, string>();
  const checkOf =
    (name: DependencyCheck): Check =>
    async () => {
      const problem = problems.get(name);
      return problem === undefined ? { ok: true } : { ok: false, problem };
    };
  return {
    raise: (name, problem) => void problems.set(name, problem),
    clear: (name) => void problems.delete(name),
    checks: Object.fromEntries(dependencyCheckNames.map((name) => [name, checkOf(name)])) as Record<
      DependencyCheck,
      Check
    >,
  };
}
