import { median } from '../timing/statistics.js';
import type { Figure, Goal, Measurement, OpenMeasurement, Plan, Sample } from './measurement.js';
import type { World } from './world.js';

/** What a measurement has found. */
export interface Outcome {
  readonly name: string;
  readonly title: string;
  readonly settings: string;
  readonly rounds: number;
  /** Rounds that were run again, since other programs took the measured core. */
  readonly repeated: number;
  /** The medians over all rounds, by contender, in the order of the measurement. */
  readonly contenders: Readonly<Record<string, Sample>>;
  readonly verdicts: readonly Verdict[];
}

/** A goal, and what was found. */
export interface Verdict extends Goal {
  /** The median over all rounds of the ratio within a round, or of the figure itself. */
  readonly median: number;
  /** The best round. */
  readonly best: number;
  /** The same ratio of CPU time per operation, inverted so that more is better; where both sides have it. */
  readonly cpuRatio?: number;
  readonly isMet: boolean;
}

/** Many short ones: slow phases of a machine last for seconds, and would fall on some contenders of a long round alone. */
const USUAL_ROUNDS = { full: 11, short: 3 } as const;
/** The part of the measured core that other programs may take. */
const MAX_FOREIGN_CPU = 0.1;

type Rounds = readonly Readonly<Record<string, Sample>>[];

/**
 * Runs the contenders in turn (A, B, C, A, B, C, …) after a warm-up that is not counted, so that slow phases of the machine
 * fall on all of them. Ratios are taken within a round.
 */
export async function runPaired(
  measurement: Measurement,
  world: World,
  plan: Plan,
): Promise<Outcome> {
  const { name, title, settings, goals } = measurement;
  const opened = await measurement.open(world, plan);
  try {
    if (measurement.warmsUp ?? true)
      for (const contender of opened.contenders) await contender.sample(plan.warmUpMs);
    const { rounds, repeated } = await runRounds(opened, world, {
      ...plan,
      rounds: plan.rounds ?? (measurement.rounds ?? USUAL_ROUNDS)[plan.isShort ? 'short' : 'full'],
      roundMs: Math.max(plan.roundMs, measurement.leastMs ?? 0),
    });
    const names = opened.contenders.map((contender) => contender.name);
    return {
      name,
      title,
      settings,
      rounds: rounds.length,
      repeated,
      contenders: Object.fromEntries(names.map((of) => [of, medianSample(rounds, of)])),
      verdicts: goals.map((goal) => judge(goal, rounds)),
    };
  } finally {
    await opened.close?.();
  }
}

async function runRounds(
  { contenders }: OpenMeasurement,
  { signal, tidy }: World,
  { rounds, roundMs, isShort }: Plan & { readonly rounds: number },
): Promise<{ rounds: Rounds; repeated: number }> {
  const found: Record<string, Sample>[] = [];
  let repeated = 0;
  while (found.length < rounds) {
    const samples: Record<string, Sample> = {};
    for (const { name, sample } of contenders) {
      signal.throwIfAborted();
      await tidy();
      samples[name] = await sample(roundMs);
    }
    if (isDisturbed(samples) && repeated < (isShort ? 1 : rounds)) repeated += 1;
    else found.push(samples);
  }
  return { rounds: found, repeated };
}

const isDisturbed = (samples: Rounds[number]): boolean =>
  Object.values(samples).some(({ foreignCpu = 0 }) => foreignCpu > MAX_FOREIGN_CPU);

function medianSample(rounds: Rounds, of: string): Sample {
  const figures = Object.keys(rounds[0]?.[of] ?? {}) as Figure[];
  return Object.fromEntries(
    figures.map((figure) => [figure, median(rounds.map((round) => round[of]?.[figure] ?? NaN))]),
  );
}

/** Compares what was found with a goal. */
export function judge(goal: Goal, rounds: Rounds): Verdict {
  const { atLeast = -Infinity, atMost = Infinity } = goal;
  const found = rounds.map((round) => valueOf(goal, round));
  const middle = median(found);
  const cpuRatio = cpuRatioOf(goal, rounds);
  return {
    ...goal,
    median: middle,
    best: goal.atMost === undefined ? Math.max(...found) : Math.min(...found),
    ...(cpuRatio !== undefined && { cpuRatio }),
    isMet: middle >= atLeast && middle <= atMost,
  };
}

function valueOf({ figure, of, beyond, against }: Goal, round: Rounds[number]): number {
  const figureOf = (name: string): number => round[name]?.[figure] ?? Number.NaN;
  const value = figureOf(of) - (beyond === undefined ? 0 : figureOf(beyond));
  return against === undefined ? value : value / figureOf(against);
}

function cpuRatioOf({ figure, of, against }: Goal, rounds: Rounds): number | undefined {
  if (against === undefined || figure !== 'perSecond') return undefined;
  const ratios = rounds.map(
    (round) => (round[against]?.cpuUs ?? Number.NaN) / (round[of]?.cpuUs ?? Number.NaN),
  );
  return ratios.some(Number.isNaN) ? undefined : median(ratios);
}
