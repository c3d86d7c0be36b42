import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import { evaluate, redState, type RedState } from './evaluation.js';
import { readFacts, type FactsDeps } from './facts.js';
import { isRedStateName, type RedStateName } from './red-states.js';

/** A red state, as of now. */
export interface OpenRedState extends RedState {
  /** When it was raised, if it has been. */
  readonly since: Date | undefined;
}

/** What is red, most severe first, and what is unknown. */
export interface RedStateReport {
  readonly red: readonly OpenRedState[];
  readonly unknown: readonly RedStateName[];
}

/**
 * What is red as this process sees it now, and as any other process has seen it within the last minute. Bounded to about two
 * seconds; never rejects.
 */
export async function readRedStates(deps: FactsDeps): Promise<RedStateReport> {
  const [{ red, unknown }, open] = await Promise.all([
    readFacts(deps).then(evaluate),
    readOpenAlerts(deps.database).catch(() => []),
  ]);
  const sinceOf = new Map(open.map(({ name, since }) => [name, since]));
  const own = new Set(red.map(({ name }) => name));
  const all = [
    ...red.map((state) => raisedAt(state, sinceOf.get(state.name))),
    ...open.filter(({ name }) => !own.has(name)),
  ];
  return {
    red: [
      ...all.filter(({ severity }) => severity === 'critical'),
      ...all.filter(({ severity }) => severity === 'warning'),
    ],
    unknown: unknown.filter((name) => !all.some((state) => state.name === name)),
  };
}

const raisedAt = (state: RedState, since: Date | undefined): OpenRedState => ({ ...state, since });

/** What the processes have raised and still see. */
async function readOpenAlerts(database: Database): Promise<OpenRedState[]> {
  const rows = await database.query<{ name: string; detail: string; since: Date }>(
    `select name, detail, raised_at as since from alerts
      where cleared_at is null and seen_at > now() - interval '1 minute' order by raised_at`,
    { type: QueryTypes.SELECT },
  );
  // Another release may know others.
  return rows.flatMap(({ name, detail, since }) =>
    isRedStateName(name) ? [{ ...redState(name, detail), since }] : [],
  );
}
