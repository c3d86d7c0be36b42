import type { Comparison } from '../floors.js';
import type { Outcome } from '../paired-rounds.js';
import type { Machine } from './machine.js';
import { aligned, figuresOf, verdictHead, verdictOf } from './table.js';

/** Prints where and with what is measured. */
export function printMachine(machine: Machine): void {
  print(aligned(machine));
}

/** Prints what one measurement has found. */
export function printOutcome(outcome: Outcome): void {
  const { name, title, settings, rounds, repeated } = outcome;
  const disturbed = repeated === 0 ? '' : `, ${repeated} more were disturbed and repeated`;
  print(`\n${name}: ${title}\n  settings: ${settings}; rounds: ${rounds}${disturbed}\n`);
  print(indented(aligned(figuresOf(outcome))));
  print('');
  print(indented(aligned([verdictHead, ...outcome.verdicts.map(verdictOf)])));
}

/** Prints each committed ratio beside that of this run. */
export function printFloors(comparisons: readonly Comparison[]): void {
  print('\nagainst the committed ratios of bench/floors.json:\n');
  const rows = comparisons.map(({ name, what, committed, found, hasFallen }) => [
    `${name}: ${what}`,
    committed.toFixed(2),
    found?.toFixed(2) ?? 'none',
    hasFallen ? 'FALLEN by more than 25 %' : 'ok',
  ]);
  print(indented(aligned([['', 'committed', 'now', ''], ...rows])));
}

/** Prints one line, or several. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
