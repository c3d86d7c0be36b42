import { serviceUnavailable, throttled } from './aws-error.js';

/** How the endpoint fails. */
export interface FaultPlan {
  /** With `partial`: every nth record fails; 3 is the third, sixth, ninth ... Default 2. */
  readonly failEvery?: number;
  /** Only this many calls fail. Without it: all until reset. */
  readonly failCalls?: number;
  /**
   * `partial`: some records fail, the call succeeds (the default) · `unavailable`: 500 · `throttle`: ThrottlingException ·
   * `hang`: no answer until reset, nothing is stored · `down`: the connection is closed without an answer.
   */
  readonly mode?: FaultMode;
}

/** The ways to fail. */
export type FaultMode = (typeof faultModes)[number];

/** What happens to one call. */
export interface CallVerdict {
  /** The connection is closed without an answer. */
  readonly cut: boolean;
  /** True for entries that are answered with an error and not stored. */
  isRefused(entry: number): boolean;
}

/** The endpoint's current faults. */
export interface Faults {
  set(plan: FaultPlan): void;
  reset(): void;
  readonly plan: FaultPlan | undefined;
  /** Called once at the start of each call. Throws the AwsError to answer with; waits while the endpoint hangs. */
  judge(): Promise<CallVerdict>;
}

const faultModes = ['partial', 'unavailable', 'throttle', 'hang', 'down'] as const;
const noFault: CallVerdict = { cut: false, isRefused: () => false };
const cutConnection: CallVerdict = { cut: true, isRefused: () => true };

/** Faults of an endpoint: none until set. */
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

/** Parses a fault plan; undefined if it is invalid. An empty object means a reset. */
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
