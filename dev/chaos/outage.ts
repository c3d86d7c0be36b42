import { setTimeout as delay } from 'node:timers/promises';
import { untilLive } from '../stack/processes/application.js';
import type { ChaosEnvironment } from './environment.js';
import { measureLatencies, type Latencies } from './latencies.js';
import { readWrittenLines, reconcileLogLines, type LogLinesOutcome } from './reconcile.js';

/** The result of one long outage. */
export interface OutageReport extends LogLinesOutcome {
  readonly before: Latencies;
  readonly during: Latencies;
  readonly after: Latencies;
  /** Lines written and not yet at Firehose when the API was killed. */
  readonly inFlightAtKill: number;
  readonly refusedFirehoseCalls: number;
}

const CALLS_PER_SECOND = 100;
/** Redis is down for this part of the Firehose outage. */
const REDIS_PART = 0.2;

/**
 * Firehose is down for the whole outage, Redis for a fifth of it in the middle. At its end, with every line since its
 * beginning in flight, the API is killed. Latencies of the API are measured before, during and after.
 */
export async function runOutage(
  environment: ChaosEnvironment,
  outageMs: number,
): Promise<OutageReport> {
  const { api, processes, firehose, redis } = environment;
  const calmMs = Math.min(outageMs, 60_000);
  const measure = (phase: Promise<unknown>): Promise<Latencies> =>
    measureLatencies(`${api}/`, CALLS_PER_SECOND, phase);
  // Warm-up: the first calls of a process are its slowest.
  await measure(delay(calmMs / 4));
  const before = await measure(delay(calmMs));

  const outage = async (): Promise<void> => {
    firehose.setFaults({ mode: 'unavailable' });
    await delay((outageMs * (1 - REDIS_PART)) / 2);
    await redis.stop();
    await delay(outageMs * REDIS_PART);
    await redis.start();
    await delay((outageMs * (1 - REDIS_PART)) / 2);
  };
  const during = await measure(outage());
  const inFlightAtKill = (await readWrittenLines(environment)).size - firehose.stats().records;
  processes.api.kill();
  firehose.resetFaults();
  await untilLive(environment.api);
  const after = await measure(delay(calmMs));

  const lines = await reconcileLogLines(environment);
  const refusedFirehoseCalls = firehose.stats().refused_calls;
  return { before, during, after, inFlightAtKill, refusedFirehoseCalls, ...lines };
}
