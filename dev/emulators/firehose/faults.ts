import { serviceUnavailable, throttled } from './aws-error.js';

/** How the endpoint is to fail. */
export interface FaultPlan {
  /** Fail this entry of every n: 3 = the third, sixth, ninth record that arrives. Only for `partial`. Default 2. */
  readonly failEvery?: number;
  /** Fail this many calls and then heal. Without it: until reset. */
  readonly failCalls?: number;
  /**
   * `partial`: single entries fail, the call succeeds (the default) · `unavailable`: 500 · `throttle`: ThrottlingException ·
   * `hang`: no answer, nothing kept, until reset · `down`: the connection is cut without an answer.
   */
  readonly mode?: FaultMode;
}

/** The ways to fail. */
export type FaultMode = (typeof faultModes)[number];

/** What is to be done with one call. */
export interface CallVerdict {
  readonly cut: boolean;
  /** True for the entries that must be answered with an error and not kept. */
  isRefused(entry: number): boolean;
}

/** Decides call by call what goes wrong. */
export interface Faults {
  set(plan: FaultPlan): void;
  reset(): void;
  readonly plan: FaultPlan | undefined;
  /** Called once a call, first thing. Throws the AwsError to answer with; waits as long as the endpoint is to hang. */
  judge(): Promise<CallVerdict>;
}

const faultModes = ['partial', 'unavailable', 'throttle', 'hang', 'down'] as const;
const noFault: CallVerdict = { cut: false, isRefused: () => false };
const cutConnection: CallVerdict = { cut: true, isRefused: () => true };

/** Makes an endpoint's faults: none until set. */
export function createFaults(): Faults {
  let plan: FaultPlan | undefined;
  let callsLeft = Infinity;
  let entriesSeen = 0;
  let release: (() => void) | undefined;
  let released: Promise<void> = Promise.resolve();

  function reset(): void {
    plan = undefined;
    release?.();
    release = undefined;
  }

  function set(next: FaultPlan): void {
    reset();
    plan = next;
    callsLeft = next.failCalls ?? Infinity;
    entriesSeen = 0;
    released = new Promise((resolve) => (release = resolve));
  }

  async function judge(): Promise<CallVerdict> {
    if (plan === undefined || callsLeft <= 0) return noFault;
    callsLeft -= 1;
    switch (plan.mode ?? 'partial') {
      case 'unavailable':
        throw serviceUnavailable();
      case 'throttle':
        throw throttled();
      case 'down':
        return cutConnection;
      case 'hang':
        await released;
        return cutConnection;
      case 'partial': {
        const every = plan.failEvery ?? 2;
        return { cut: false, isRefused: () => ++entriesSeen % every === 0 };
      }
    }
  }

  return {
    set,
    reset,
    get plan() {
      return plan;
    },
    judge,
  };
}

/** Reads a fault plan from JSON; undefined if it is none. An empty object is a plan that fails nothing: a reset. */
export function parseFaultPlan(value: unknown): FaultPlan | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const plan: { failEvery?: number; failCalls?: number; mode?: FaultMode } = {};
  for (const [name, given] of Object.entries<unknown>({ ...value })) {
    if ((name === 'failEvery' || name === 'failCalls') && isPositiveInteger(given))
      plan[name] = given;
    else if (name === 'mode' && isFaultMode(given)) plan.mode = given;
    else return undefined;
  }
  return plan;
}

function isPositiveInteger(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0;
}

function isFaultMode(value: unknown): value is FaultMode {
  return faultModes.some((mode) => mode === value);
}
