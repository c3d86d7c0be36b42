import { readOptions } from '../../dev/command-line.js';
import { catalogue } from './catalogue.js';
import { FLOORS_FILE, readFloors } from './floors.js';
import type { Measurement, Plan } from './measurement.js';

/** What the command line asks for. */
export interface Wanted {
  readonly measurements: readonly Measurement[];
  readonly plan: Plan;
  /** The ratios are compared with the committed ones. */
  readonly isCheck: boolean;
  /** The results are written to the project's files. */
  readonly isWritten: boolean;
}

const USAGE = `npm run bench -- [NAME ...] [--short | --check] [--write] [--rounds N] [--seconds N]

  NAME         only these: ${catalogue.map(({ name }) => name).join(' ')}
  --short      a few short rounds over fewer rows, in under three minutes
  --check      a short run; fails when a ratio is more than 25 % below that in bench/floors.json
  --write      writes the results of a short run as well, and its ratios to bench/floors.json
  --rounds N   rounds; 5 to 21, with --short 3 or fewer
  --seconds N  duration of each contender's part in a round; 1.5, with --short 0.5

A full run of everything writes docs/performance.md and its plot.
`;

const MAX_ROUNDS = 100;
const MAX_SECONDS = 60;
const WRONG_USAGE = 64;

/** Reads the command line; resolves to an exit code, after the usage is printed, if nothing is to be measured. */
export async function readWanted(): Promise<Wanted | number> {
  const given = readOptions(USAGE, {
    allowPositionals: true,
    options: {
      short: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (!given) return WRONG_USAGE;
  const { help, check: isCheck, write } = given.values;
  const plan = readPlan({ ...given.values, short: given.values.short || isCheck });
  const names = given.positionals;
  if (help || !plan || !names.every((name) => catalogue.some((known) => known.name === name))) {
    process.stdout.write(USAGE);
    return help ? 0 : WRONG_USAGE;
  }
  const chosen = isCheck && names.length === 0 ? Object.keys(await readFloors()) : names;
  if (isCheck && chosen.length === 0) {
    process.stderr.write(`${FLOORS_FILE} has no ratios yet: npm run bench -- --short --write\n`);
    return 1;
  }
  const measurements = catalogue.filter(({ name }) => chosen.length === 0 || chosen.includes(name));
  const isComplete = measurements.length === catalogue.length;
  return { measurements, plan, isCheck, isWritten: write || (!plan.isShort && isComplete) };
}

/** Undefined if a number is none, or out of bounds. */
function readPlan({
  short: isShort,
  rounds: givenRounds,
  seconds: givenSeconds,
}: {
  readonly short: boolean;
  readonly rounds?: string | undefined;
  readonly seconds?: string | undefined;
}): Plan | undefined {
  const rounds = givenRounds === undefined ? undefined : Number(givenRounds);
  const seconds = Number(givenSeconds ?? (isShort ? 0.5 : 1.5));
  const isCount =
    rounds === undefined || (Number.isInteger(rounds) && rounds >= 1 && rounds <= MAX_ROUNDS);
  if (!isCount || !(seconds > 0) || seconds > MAX_SECONDS) return undefined;
  return { isShort, rounds, roundMs: seconds * 1_000, warmUpMs: isShort ? 1_200 : 4_000 };
}
