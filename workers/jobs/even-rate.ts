import type { RateLimiterOptions } from 'bullmq';

/** What is due in so many milliseconds may go at once; at least one job. */
const BURST_MS = 50;

/**
 * A limiter for so many jobs a second over all workers of a queue, evenly. BullMQ counts in windows, and starts a new one
 * with the first job after the last: with a window of a second, two seconds' worth could go around its edge, and a backlog
 * would leave in gusts.
 */
export function evenRate(perSecond: number): RateLimiterOptions {
  const max = Math.max(1, Math.floor((perSecond * BURST_MS) / 1_000));
  return { max, duration: Math.ceil((max * 1_000) / perSecond) };
}
