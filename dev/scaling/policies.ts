import {
  scalableWork,
  scalingSettings,
  type ScalingSettings,
  type WorkFacts,
} from '../../workers/cloudwatch/scalable-work.js';

/** What a policy can see of the last minute. */
export interface Observation {
  readonly mails: WorkFacts;
  readonly lines: WorkFacts;
  /** Used CPU of all instances, in instances: 0.5 is half of one. */
  readonly cpu: number;
}

/** What the group is to follow. */
export interface Policy {
  readonly name: string;
  /** The name in the document, and what is followed. */
  readonly title: string;
  /** The value per instance that is aimed at. */
  readonly target: number;
  /** The value of the whole group. */
  readonly measure: (observation: Observation) => {
    readonly sum: number;
    readonly isHeld: boolean;
  };
}

/** Ten seconds of one worker's work: what `TargetValue: 600` means for mails. */
const MAILS_PER_INSTANCE = 600;
/** Lines in one job of the queue `logs`. */
const LINES_PER_BATCH = 500;
const CPU_SHARE = 0.5;

/** The product's policy. */
export const byWork = (settings: ScalingSettings = scalingSettings): Policy => ({
  name: 'work',
  title: 'workers needed',
  target: 1,
  measure: ({ mails, lines }) => {
    const { workersNeeded, isHeld } = scalableWork([mails, lines], settings);
    return { sum: workersNeeded, isHeld };
  },
});

/** The product's policy and those that it is compared with. */
export const policies: readonly Policy[] = [
  byWork(),
  {
    name: 'waiting',
    title: 'work that waits, 600 mails an instance',
    target: MAILS_PER_INSTANCE,
    measure: ({ mails, lines }) => ({
      sum: couldBeDone(mails) + couldBeDone(lines) / LINES_PER_BATCH,
      isHeld: false,
    }),
  },
  {
    name: 'queue',
    title: 'queue length, 600 jobs an instance',
    target: MAILS_PER_INSTANCE,
    measure: ({ mails, lines }) => ({
      sum: mails.waiting + lines.waiting / LINES_PER_BATCH,
      isHeld: false,
    }),
  },
  {
    name: 'cpu',
    title: 'CPU, 50 %',
    target: CPU_SHARE,
    measure: ({ cpu }) => ({ sum: cpu, isHeld: false }),
  },
];

/** Nothing while the rate is used up, or the work is held. */
const couldBeDone = ({ waiting, isHeld, donePerSecond, limitPerSecond }: WorkFacts): number =>
  isHeld || donePerSecond >= limitPerSecond * 0.99 ? 0 : waiting;
