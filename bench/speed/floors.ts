import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../dev/paths.js';
import type { Outcome, Verdict } from './paired-rounds.js';

/** Ratios of earlier short runs, by measurement and by what was compared. */
export type Floors = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A ratio of this run beside the committed one. */
export interface Comparison {
  readonly name: string;
  readonly what: string;
  readonly committed: number;
  /** Undefined when this run has no such ratio any more. */
  readonly found: number | undefined;
  readonly hasFallen: boolean;
}

/** What the machine's noise may take away. */
const ALLOWED_FALL = 0.25;
/** Where they are committed. */
export const FLOORS_FILE = 'bench/floors.json';

/** The committed ratios. */
export async function readFloors(): Promise<Floors> {
  return JSON.parse(await readFile(join(projectRoot, FLOORS_FILE), 'utf8')) as Floors;
}

/** Replaces the ratios of what was measured; others stay. */
export async function writeFloors(outcomes: readonly Outcome[]): Promise<void> {
  const floors = { ...(await readFloors()), ...ratiosOf(outcomes) };
  await writeFile(join(projectRoot, FLOORS_FILE), `${JSON.stringify(floors, null, 2)}\n`);
}

/** Each committed ratio of the measurements that were run, beside what they have found. */
export function compareWithFloors(floors: Floors, outcomes: readonly Outcome[]): Comparison[] {
  const found = ratiosOf(outcomes);
  return Object.entries(found).flatMap(([name, ratios]) =>
    Object.entries(floors[name] ?? {}).map(([what, committed]) => ({
      name,
      what,
      committed,
      found: ratios[what],
      hasFallen: !((ratios[what] ?? 0) >= committed * (1 - ALLOWED_FALL)),
    })),
  );
}

/** More is better in all of them. Absolute figures are left out: they depend on the machine. */
function ratiosOf(outcomes: readonly Outcome[]): Floors {
  return Object.fromEntries(
    outcomes.map(({ name, verdicts }) => [
      name,
      Object.fromEntries(
        verdicts.flatMap((verdict) =>
          verdict.against === undefined ||
          verdict.beyond !== undefined ||
          verdict.isStretch === true
            ? []
            : [[`${verdict.of} against ${verdict.against}`, ratioOf(verdict)]],
        ),
      ),
    ]),
  );
}

/** By CPU time where both sides have it: other load on the machine changes it less than the rate. */
const ratioOf = ({ median, cpuRatio, atMost }: Verdict): number =>
  Number((cpuRatio ?? (atMost === undefined ? median : 1 / median)).toPrecision(3));
