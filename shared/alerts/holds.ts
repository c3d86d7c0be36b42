import { redStateNames, type Judgement, type RedState, type RedStateName } from './red-states.js';

/** How often in a row each state was found red, or found fine. */
export interface Holds {
  readonly red: Map<RedStateName, number>;
  readonly fine: Map<RedStateName, number>;
}

/** What has been found often enough to be believed. */
export interface Believed {
  readonly red: readonly RedState[];
  readonly fine: readonly RedStateName[];
}

/** In a row: a single finding may be a moment's, and a state that comes and goes must not be told of each time. */
const FINDINGS = 2;

export const createHolds = (): Holds => ({ red: new Map(), fine: new Map() });

/** Adds the findings of one turn. What could not be told changes nothing. */
export function believe({ red, fine }: Holds, judgement: Judgement): Believed {
  const found = new Map(judgement.red.map((state) => [state.name, state]));
  for (const name of redStateNames) {
    if (judgement.unknown.includes(name)) continue;
    const [rising, falling] = found.has(name) ? [red, fine] : [fine, red];
    rising.set(name, (rising.get(name) ?? 0) + 1);
    falling.delete(name);
  }
  const isBelieved = (counts: Holds['red'], name: RedStateName): boolean =>
    (counts.get(name) ?? 0) >= FINDINGS;
  return {
    red: judgement.red.filter(({ name }) => isBelieved(red, name)),
    fine: redStateNames.filter((name) => isBelieved(fine, name)),
  };
}
