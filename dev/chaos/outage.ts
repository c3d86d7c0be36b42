import { setTimeout as delay } from 'node:timers/promises';
import { linesWritten, settleLines, type LinesOutcome } from './reconcile.js';
import { measure, type Latencies } from './latencies.js';
import type { Stage } from './environment.js';

/** What a long outage came to. */
export interface OutageReport extends LinesOutcome {
  readonly before: Latencies;
  readonly during: Latencies;
  readonly after: Latencies;
  /** Lines written and not yet at Firehose when the API was killed. */
  readonly inFlightAtKill: number;
  readonly refusedFirehoseCalls: number;
}

const CALLS_PER_SECOND = 100;
/** Redis is away for this part of the time in which Firehose is. */
const REDIS_PART = 0.2;

/**
 * Firehose is away all the time, Redis for a fifth of it in the middle; then, with all lines since the beginning in
 * flight, the API is killed. Before, meanwhile and afterwards the answers' times are taken.
 */
export async function runOutage(stage: Stage, outageMs: number): Promise<OutageReport> {
  const calmMs = Math.min(outageMs, 60_000);
  const phase = (work: Promise<unknown>): Promise<Latencies> =>
    measure(`${stage.api}/`, CALLS_PER_SECOND, work);
  // The first calls of a process are its slowest.
  await phase(delay(calmMs / 4));
  const before = await phase(delay(calmMs));

  let inFlightAtKill = 0;
  const during = await phase(
    (async () => {
      stage.firehose.setFaults({ mode: 'unavailable' });
      await delay((outageMs * (1 - REDIS_PART)) / 2);
      await stage.redis.stop();
      await delay(outageMs * REDIS_PART);
      await stage.redis.start();
      await delay((outageMs * (1 - REDIS_PART)) / 2);
    })(),
  );
  inFlightAtKill = (await linesWritten(stage)).size - stage.firehose.stats().records;
  stage.processes.api.kill();
  stage.firehose.resetFaults();
  await stage.untilLive();
  const after = await phase(delay(calmMs));

  const lines = await settleLines(stage);
  const refusedFirehoseCalls = stage.firehose.stats().refused_calls;
  return { before, during, after, inFlightAtKill, refusedFirehoseCalls, ...lines };
}
