/** How many SMTP connections a worker may open at once, as the server accepts them. */
export interface ConnectionLimit {
  /** The current limit: at least one. */
  current(): number;
  /** The server refused a connection while so many others were open, and some of them served mails. */
  refused(others: number): void;
}

/** Without a refusal for so long, the limit rises by one: the server may accept more by now. */
const RAISE_EVERY_MS = 10_000;
/** Without a refusal at the maximum for so long, the limit counts as restored. */
const RESTORED_AFTER_MS = 60_000;

interface LimitState {
  readonly max: number;
  readonly onChange: (limit: number) => void;
  readonly now: () => number;
  limit: number;
  /** The lowest limit reported since it was last restored. */
  lowestReported: number;
  changedAt: number;
}

/**
 * A limit that a refused connection lowers, to the number of those that were open, and that rises again with time.
 * @param onChange called when the limit falls to a new low, and when it has been at the maximum for a minute again: not for
 *   every attempt in between.
 * @param now a monotonic clock in milliseconds.
 */
export function createConnectionLimit(
  max: number,
  onChange: (limit: number) => void = () => undefined,
  now: () => number = () => performance.now(),
): ConnectionLimit {
  const state = { max, onChange, now, limit: max, lowestReported: max, changedAt: now() };
  return {
    current: () => currentLimit(state),
    refused: (others) => lower(state, others),
  };
}

function currentLimit(state: LimitState): number {
  raise(state);
  const { limit, max, lowestReported, changedAt, now } = state;
  const isRestored = limit === max && now() - changedAt >= RESTORED_AFTER_MS;
  if (lowestReported < max && isRestored) report(state);
  return limit;
}

function lower(state: LimitState, others: number): void {
  raise(state);
  state.limit = Math.max(Math.min(state.limit - 1, others), 1);
  state.changedAt = state.now();
  if (state.limit < state.lowestReported) report(state);
}

function raise(state: LimitState): void {
  const steps = Math.floor((state.now() - state.changedAt) / RAISE_EVERY_MS);
  if (state.limit === state.max || steps === 0) return;
  state.limit = Math.min(state.limit + steps, state.max);
  state.changedAt = state.now();
}

function report(state: LimitState): void {
  state.lowestReported = state.limit;
  state.onChange(state.limit);
}
