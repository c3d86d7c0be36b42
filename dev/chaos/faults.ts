import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from './plan.js';
import type { Stage } from './environment.js';

/** How many faults of each kind were brought about. */
export type FaultCounts = Record<Fault['kind'], number>;

/** Brings the planned faults about, each in its time; resolves when the last is over and everything runs again. */
export async function bringAbout(
  stage: Stage,
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
  const underWay: Promise<void>[] = [];
  for (const fault of plan) {
    await until(fault.atMs);
    counts[fault.kind] += 1;
    underWay.push(hurt(stage, fault));
  }
  await until(durationMs);
  await Promise.all(underWay);
  return counts;
}

async function hurt(stage: Stage, fault: Fault): Promise<void> {
  switch (fault.kind) {
    case 'kill':
      return killProcess(stage, fault.victim);
    case 'wipe-redis':
      await stage.redis.kill();
      return stage.redis.start();
    case 'restart-postgres':
      await stage.postgres.stop();
      return stage.postgres.start();
    case 'smtp-outage':
      await stage.mail.goAway();
      await delay(fault.forMs);
      return stage.mail.comeBack();
    case 'firehose-outage':
      stage.firehose.setFaults({ mode: fault.mode });
      await delay(fault.forMs);
      return stage.firehose.resetFaults();
  }
}

/** One that is just being started is waited for: a kill that hits nobody is none. */
async function killProcess({ processes }: Stage, victim: keyof Stage['processes']): Promise<void> {
  while (!processes[victim].kill()) await delay(10);
}
