import type { RateLimiterOptions } from 'bullmq';

/** The jobs of so many milliseconds may start at once; at least one job. */
const BURST_MS = 50;

/**
 * A rate limiter of so many jobs per second over all workers of a queue, evenly. BullMQ counts in fixed windows, each of
 * which begins with the first job after the last one: with a window of a second, two seconds' worth of jobs could start
 * around its edge, and a backlog would start in bursts.
 */
export function evenRateLimiter(perSecond: number): RateLimiterOptions {
  const max = Math.max(1, Math.floor((perSecond * BURST_MS) / 1_000));
  return { max, duration: Math.ceil((max * 1_000) / perSecond) };
}
