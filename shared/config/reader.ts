import { variableNames, variables, type VariableName, type VariableValue } from './variables.js';

/** The environment that a process was started with. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One thing wrong with the environment. It never holds the variable's value. */
export interface ConfigFault {
  readonly variable: VariableName;
  readonly problem: string;
}

/** Thrown when the environment is unusable; lists every fault, by variable. */
export class ConfigError extends Error {
  constructor(readonly faults: readonly ConfigFault[]) {
    super(
      [
        'The configuration is unusable:',
        ...faults.map((f) => `  ${f.variable}: ${f.problem}`),
      ].join('\n'),
    );
    this.name = 'ConfigError';
  }
}

/** Reads variables one by one and collects faults, so that all of them are reported at once. */
export interface EnvironmentReader {
  readonly isProduction: boolean;
  /** True when the variable is set, valid or not. */
  isGiven(name: VariableName): boolean;
  /** The variable as it was set; `undefined` when it is unset or empty. */
  text(name: VariableName): string | undefined;
  /** The variable's value; `undefined` after a fault, which nothing sees because {@link load} throws. */
  get<N extends VariableName>(name: N): VariableValue<N>;
  /** Like `get`, but an unset variable is a fault. */
  require<N extends VariableName>(name: N, why?: string): NonNullable<VariableValue<N>>;
  fault(variable: VariableName, problem: string): void;
}

/**
 * Builds a configuration from an environment. An empty variable counts as unset. An invalid one is a fault even if this
 * process does not use it: the process that does would fail to start.
 * @throws {ConfigError} with every fault, if there is any.
 */
export function load<C>(env: Environment, build: (reader: EnvironmentReader) => C): C {
  const faults: ConfigFault[] = [];
  const reader = createReader(env, faults);
  const config = build(reader);
  for (const name of variableNames) if (reader.isGiven(name)) reader.get(name);
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

function createReader(env: Environment, faults: ConfigFault[]): EnvironmentReader {
  const cache = new Map<VariableName, unknown>();
  const fault = (variable: VariableName, problem: string): void => {
    if (!faults.some((known) => known.variable === variable)) faults.push({ variable, problem });
  };
  const textOf = (name: VariableName): string | undefined => env[name] || undefined;
  const get = <N extends VariableName>(name: N): VariableValue<N> => {
    if (!cache.has(name)) {
      const raw = textOf(name);
      const result = variables[name].schema.safeParse(raw);
      if (!result.success) {
        fault(
          name,
          raw === undefined ? 'is required' : (result.error.issues[0]?.message ?? 'is invalid'),
        );
      }
      cache.set(name, result.success ? result.data : undefined);
    }
    return cache.get(name) as VariableValue<N>;
  };
  return {
    // An invalid one counts as production: the faults that only production has are then reported with it.
    isProduction: !['development', 'test'].includes(get('NODE_ENV')),
    isGiven: (name) => textOf(name) !== undefined,
    text: textOf,
    get,
    require(name, why = 'is required') {
      const value = get(name);
      if (value === undefined) fault(name, why);
      return value as NonNullable<typeof value>;
    },
    fault,
  };
}
