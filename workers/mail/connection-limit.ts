/** How many SMTP connections a worker may have at once, as far as the server goes along. */
export interface ConnectionLimit {
  /** So many now: at least one. */
  current(): number;
  /** The server has refused one while others got through. */
  refused(): void;
}

/** So long without a refusal, and one more is tried: the server may take more by now. */
const RAISE_EVERY_MS = 10_000;

/**
 * A limit that goes down by one with each connection that is refused, and up again with time.
 * @param most how many there may be at most.
 * @param onNews called when the limit is lower than it was since all were taken, and when all are taken again.
 * @param now a clock in milliseconds that never goes back.
 */
export function createConnectionLimit(
  most: number,
  onNews: (limit: number) => void = () => undefined,
  now: () => number = () => performance.now(),
): ConnectionLimit {
  let limit = most;
  let lowestTold = most;
  let changedAt = now();

  const current = (): number => {
    const raises = Math.floor((now() - changedAt) / RAISE_EVERY_MS);
    if (limit < most && raises > 0) {
      limit = Math.min(limit + raises, most);
      changedAt = now();
    }
    return limit;
  };
  const tell = (): void => {
    if (limit >= lowestTold) return;
    lowestTold = limit;
    onNews(limit);
  };
  return {
    current() {
      const isLower = limit < most;
      if (current() === most && isLower && lowestTold < most) {
        lowestTold = most;
        onNews(most);
      }
      return limit;
    },
    refused() {
      limit = Math.max(current() - 1, 1);
      changedAt = now();
      tell();
    },
  };
}
