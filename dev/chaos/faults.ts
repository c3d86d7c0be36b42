import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../random.js';
import { processNames, type ChaosEnvironment, type ProcessName } from './environment.js';

/** A fault, and when it is injected. */
export type Fault = { readonly atMs: number } & (
  | { readonly kind: 'kill'; readonly target: ProcessName }
  /** SIGKILL; Redis comes back without any of its data. */
  | { readonly kind: 'wipe-redis' }
  | { readonly kind: 'restart-postgres' }
  /** Connections are cut, and refused for this long. */
  | { readonly kind: 'smtp-outage'; readonly forMs: number }
  | {
      readonly kind: 'firehose-outage';
      readonly forMs: number;
      readonly mode: (typeof firehoseModes)[number];
    }
);

/** How many faults of each kind were injected. */
export type FaultCounts = Record<Fault['kind'], number>;

const firehoseModes = ['down', 'unavailable', 'throttle', 'partial'] as const;

/** Milliseconds between two faults of a kind, on average. */
const meanIntervalMs: Record<Fault['kind'], number> = {
  kill: 1_600,
  'wipe-redis': 12_000,
  'restart-postgres': 45_000,
  'smtp-outage': 14_000,
  'firehose-outage': 11_000,
};

/** No fault before this, so that everything can start. */
const FIRST_AFTER_MS = 1_000;

/** The faults of a run in chronological order; the same seed and length give the same plan. */
export function planFaults(random: Random, durationMs: number): Fault[] {
  const faults = (Object.keys(meanIntervalMs) as Fault['kind'][]).flatMap((kind) =>
    timesOf(random, meanIntervalMs[kind], durationMs).map((atMs) => faultOf(random, kind, atMs)),
  );
  return faults.toSorted((one, other) => one.atMs - other.atMs);
}

function timesOf(random: Random, intervalMs: number, durationMs: number): number[] {
  const times: number[] = [];
  const first = Math.min(FIRST_AFTER_MS, intervalMs) + random.between(0, intervalMs / 2);
  for (let at = first; at < durationMs; at += random.between(intervalMs / 2, intervalMs * 1.5))
    times.push(Math.round(at));
  return times;
}

function faultOf(random: Random, kind: Fault['kind'], atMs: number): Fault {
  switch (kind) {
    case 'kill':
      return { atMs, kind, target: random.pick(processNames) };
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

/** Injects each planned fault at its time; resolves when the last outage is over and every server runs again. */
export async function injectFaults(
  environment: ChaosEnvironment,
  plan: readonly Fault[],
  durationMs: number,
): Promise<FaultCounts> {
  const counts: FaultCounts = {
    kill: 0,
    'wipe-redis': 0,
    'restart-postgres': 0,
    'smtp-outage': 0,
    'firehose-outage': 0,
  };
  const startedAt = performance.now();
  const until = (atMs: number) => delay(Math.max(atMs - (performance.now() - startedAt), 0));
  const inProgress: Promise<void>[] = [];
  for (const fault of plan) {
    await until(fault.atMs);
    counts[fault.kind] += 1;
    inProgress.push(inject(environment, fault));
  }
  await until(durationMs);
  await Promise.all(inProgress);
  return counts;
}

async function inject(environment: ChaosEnvironment, fault: Fault): Promise<void> {
  switch (fault.kind) {
    case 'kill':
      return killProcess(environment, fault.target);
    case 'wipe-redis':
      await environment.redis.kill();
      return environment.redis.start();
    case 'restart-postgres':
      await environment.postgres.stop();
      return environment.postgres.start();
    case 'smtp-outage':
      await environment.mail.stop();
      await delay(fault.forMs);
      return environment.mail.start();
    case 'firehose-outage':
      environment.firehose.setFaults({ mode: fault.mode });
      await delay(fault.forMs);
      return environment.firehose.resetFaults();
  }
}

/** Waits while the process is being restarted, so that every counted kill hits a running process. */
async function killProcess({ processes }: ChaosEnvironment, target: ProcessName): Promise<void> {
  while (!processes[target].kill()) await delay(10);
}
