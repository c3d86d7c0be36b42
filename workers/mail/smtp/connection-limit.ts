/** How many SMTP connections a worker may have at once, as far as the server goes along. */
export interface ConnectionLimit {
  /** So many now: at least one. */
  current(): number;
  /** The server has refused one while so many others were under way, and some of them got through. */
  refused(others: number): void;
}

/** So long without a refusal, and one more is tried: the server may take more by now. */
const RAISE_EVERY_MS = 10_000;
/** So long without a refusal, and the server takes all of them: what is tried and refused again is no news. */
const ALL_TAKEN_AFTER_MS = 60_000;

/**
 * A limit that goes down with each connection that is refused, to those that were there, and up again with time.
 * @param most how many there may be at most.
 * @param onNews called when the limit is lower than it was since all were taken, and when all have been taken for a minute.
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

  const raise = (): void => {
    const raises = Math.floor((now() - changedAt) / RAISE_EVERY_MS);
    if (limit < most && raises > 0) {
      limit = Math.min(limit + raises, most);
      changedAt = now();
    }
  };
  const tell = (lowest: number): void => {
    lowestTold = lowest;
    onNews(limit);
  };
  return {
    current() {
      raise();
      const isAllTaken = limit === most && now() - changedAt >= ALL_TAKEN_AFTER_MS;
      if (lowestTold < most && isAllTaken) tell(most);
      return limit;
    },
    refused(others) {
      raise();
      limit = Math.max(Math.min(limit - 1, others), 1);
      changedAt = now();
      if (limit < lowestTold) tell(limit);
    },
  };
}
