/** A rate limit multiplied by `RATE_LIMIT_SCALE` or by another factor; at least 1. */
export const scaledLimit = (limit: number, scale: number): number =>
  Math.max(1, Math.floor(limit * scale));
