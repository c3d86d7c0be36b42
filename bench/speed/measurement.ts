import type { World } from './world.js';

/** What is measured of one contender in one round. Which of them there are depends on the measurement. */
export interface Sample {
  /** Operations completed per second. */
  readonly perSecond?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** CPU time of the contender's process per operation, in microseconds. */
  readonly cpuUs?: number;
  /** From a response to the acceptance of the mail that it promised. */
  readonly acceptedP50Ms?: number;
  readonly acceptedP99Ms?: number;
  /** Bytes of a mail on the wire. */
  readonly mailBytes?: number;
  /** Memory of the process in megabytes. */
  readonly residentMb?: number;
  /** Memory at the end, divided by memory in the middle. */
  readonly growth?: number;
  /** Redis memory of 300 bytes of log lines. */
  readonly redisBytes?: number;
  /** From the start of a process until it accepts connections. */
  readonly startMs?: number;
  /** The part of the measured core that other programs took, 0 to 1. */
  readonly foreignCpu?: number;
}

/** The name of a measured figure. */
export type Figure = keyof Sample;

/** A program under test within a measurement. */
export interface Contender {
  readonly name: string;
  /** Puts load on it for about this long. */
  sample(durationMs: number): Promise<Sample>;
}

/** What must hold: a figure of one contender divided by the same one of another, or the figure itself. */
export interface Goal {
  readonly figure: Figure;
  readonly of: string;
  /** The contender whose figure is subtracted first: what is left is the cost of what it does without. */
  readonly beyond?: string;
  /** Without it, the figure itself is compared with the bound. */
  readonly against?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** A bound to get to some day; missing it is no failure. */
  readonly isStretch?: boolean;
}

/** One row of the report, declared. */
export interface Measurement {
  /** By which it is chosen on the command line. */
  readonly name: string;
  readonly title: string;
  /** The settings of the product that the figures need, beside those of production. */
  readonly settings: string;
  readonly goals: readonly Goal[];
  /** How many rounds, for what takes long. */
  readonly rounds?: { readonly full: number; readonly short: number };
  /** A contender's part in a round lasts at least so long: what is slow needs longer for its percentiles. */
  readonly leastMs?: number;
  /** False: there is nothing to warm up, for example since each sample starts its own process. */
  readonly warmsUp?: boolean;
  /** Prepares the contenders. The first one is the product. */
  open(world: World, plan: Plan): Promise<OpenMeasurement>;
}

/** A measurement that is ready to run. */
export interface OpenMeasurement {
  readonly contenders: readonly Contender[];
  close?(): Promise<void>;
}

/** How long and how often is measured. */
export interface Plan {
  readonly isShort: boolean;
  /** Undefined: as the measurement says, or eleven, in a short run three. */
  readonly rounds: number | undefined;
  readonly warmUpMs: number;
  readonly roundMs: number;
}

/** The product, as contenders are named in goals. */
export const PRODUCT = 'rollcall';
