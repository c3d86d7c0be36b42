import type { Random } from '../random.js';

/** A process that is killed with SIGKILL and started again. */
export type Victim = (typeof victims)[number];

/** What goes wrong, and when. */
export type Fault = { readonly atMs: number } & (
  | { readonly kind: 'kill'; readonly victim: Victim }
  /** SIGKILL; it comes back without any of its data. */
  | { readonly kind: 'wipe-redis' }
  | { readonly kind: 'restart-postgres' }
  /** Connections are cut, and refused for so long. */
  | { readonly kind: 'smtp-outage'; readonly forMs: number }
  | {
      readonly kind: 'firehose-outage';
      readonly forMs: number;
      readonly mode: (typeof firehoseModes)[number];
    }
);

export const victims = ['api', 'worker-1', 'worker-2', 'relay'] as const;
const firehoseModes = ['down', 'unavailable', 'throttle', 'partial'] as const;

/** Milliseconds between two faults of a kind, on average. */
const every: Record<Fault['kind'], number> = {
  kill: 1_600,
  'wipe-redis': 12_000,
  'restart-postgres': 45_000,
  'smtp-outage': 14_000,
  'firehose-outage': 11_000,
};

/** Everything starts in peace. */
const FIRST_AFTER_MS = 1_000;

/** The faults of a run, in the order in which they come; the same seed and length make the same plan. */
export function planFaults(random: Random, durationMs: number): Fault[] {
  const faults = (Object.keys(every) as Fault['kind'][]).flatMap((kind) =>
    timesOf(random, every[kind], durationMs).map((atMs) => faultOf(random, kind, atMs)),
  );
  return faults.toSorted((one, other) => one.atMs - other.atMs);
}

function timesOf(random: Random, everyMs: number, durationMs: number): number[] {
  const times: number[] = [];
  const first = Math.min(FIRST_AFTER_MS, everyMs) + random.between(0, everyMs / 2);
  for (let at = first; at < durationMs; at += random.between(everyMs / 2, everyMs * 1.5))
    times.push(Math.round(at));
  return times;
}

function faultOf(random: Random, kind: Fault['kind'], atMs: number): Fault {
  switch (kind) {
    case 'kill':
      return { atMs, kind, victim: random.pick(victims) };
    case 'wipe-redis':
    case 'restart-postgres':
      return { atMs, kind };
    case 'smtp-outage':
      return { atMs, kind, forMs: Math.round(random.between(200, 4_000)) };
    case 'firehose-outage': {
      const forMs = Math.round(random.between(200, 5_000));
      return { atMs, kind, forMs, mode: random.pick(firehoseModes) };
    }
  }
}
