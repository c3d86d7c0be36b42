import { cutText } from '../cut-text.js';
import type { Facts } from './facts.js';
import { redStateNames, redStates, type RedStateName, type Severity } from './red-states.js';

/** A state that is red. */
export interface RedState {
  readonly name: RedStateName;
  readonly title: string;
  readonly severity: Severity;
  /** The section of the runbook, as the anchor of its heading. */
  readonly section: string;
  /** What was found. Untrusted text in it is unescaped. */
  readonly detail: string;
}

/** What is red, and what is unknown. */
export interface Evaluation {
  readonly red: readonly RedState[];
  readonly unknown: readonly RedStateName[];
}

const MAX_DETAIL = 500;

/** Finds out of every state whether it is red. */
export function evaluate(facts: Facts): Evaluation {
  const red: RedState[] = [];
  const unknown: RedStateName[] = [];
  for (const name of redStateNames) {
    const finding = redStates[name].find(facts);
    if (finding === undefined) unknown.push(name);
    else if (finding !== null) red.push(redState(name, finding));
  }
  return { red, unknown };
}

/** The state with its words. */
export function redState(name: RedStateName, detail: string): RedState {
  const { title, severity, section } = redStates[name];
  return { name, title, severity, section, detail: cutText(detail, MAX_DETAIL) };
}

/** How many evaluations in a row have found each state red, or not red. */
export interface Streaks {
  readonly red: Map<RedStateName, number>;
  readonly notRed: Map<RedStateName, number>;
}

/** What enough evaluations in a row have found. */
export interface Confirmed {
  readonly red: readonly RedState[];
  readonly notRed: readonly RedStateName[];
}

/** One evaluation may have met a moment's fault, and a state that comes and goes must not cause a notice each time. */
const CONFIRMED_AFTER = 2;

export const createStreaks = (): Streaks => ({ red: new Map(), notRed: new Map() });

/** Counts one evaluation. A state that is unknown keeps its counts. */
export function debounce({ red, notRed }: Streaks, evaluation: Evaluation): Confirmed {
  const found = new Set(evaluation.red.map(({ name }) => name));
  for (const name of redStateNames) {
    if (evaluation.unknown.includes(name)) continue;
    const [growing, ended] = found.has(name) ? [red, notRed] : [notRed, red];
    growing.set(name, (growing.get(name) ?? 0) + 1);
    ended.delete(name);
  }
  const isConfirmed = (counts: Streaks['red'], name: RedStateName): boolean =>
    (counts.get(name) ?? 0) >= CONFIRMED_AFTER;
  return {
    red: evaluation.red.filter(({ name }) => isConfirmed(red, name)),
    notRed: redStateNames.filter((name) => isConfirmed(notRed, name)),
  };
}
