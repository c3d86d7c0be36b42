/** Counts of durations in buckets that grow by two percent, so that any percentile is within one percent of the truth. */
export type Histogram = number[];

const GROWTH = 1.02;
const LOG_GROWTH = Math.log(GROWTH);
/** Ends above two minutes. */
const BUCKETS = 940;

export const createHistogram = (): Histogram => Array.from({ length: BUCKETS }, () => 0);

/** Adds a duration in microseconds. */
export function record(histogram: Histogram, us: number): void {
  const bucket = us <= 1 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log(us) / LOG_GROWTH));
  histogram[bucket] = (histogram[bucket] ?? 0) + 1;
}

/** The duration in milliseconds that a share of all durations, 0 to 1, does not exceed; NaN if there are none. */
export function percentileMs(histogram: Histogram, share: number): number {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  if (total === 0) return Number.NaN;
  let seen = 0;
  const bucket = histogram.findIndex((count) => {
    seen += count;
    return seen >= total * share;
  });
  // The middle of the bucket.
  return GROWTH ** (bucket + 0.5) / 1_000;
}
