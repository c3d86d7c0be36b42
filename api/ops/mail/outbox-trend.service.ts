import type { Database } from '../../../shared/database/connect.js';
import { duration } from '../../../shared/duration.js';
import { MAX_COUNTED_MESSAGES } from '../../../shared/metrics/catalogue.js';
import { keptName } from '../../../shared/metrics/minutes.js';
import { readMinutes, type MinuteHistory } from '../../../shared/metrics/read-minutes.js';
import type { OpenMessages } from './outbox-state.service.js';

/** Whether the mails that wait are becoming fewer. */
export interface OutboxTrend {
  /** How many more wait after each minute, on average; negative while they become fewer. */
  readonly per_minute: number;
  /** The time that this is the average of. */
  readonly measured_minutes: number;
  /** When none waits any more at this rate, from now on; null unless they become fewer. */
  readonly empty_in_seconds: number | null;
}

/** The series that it is read from: the messages that wait, due or enqueued. */
export const waitingSeries = (['pending', 'enqueued'] as const).map((state) =>
  keptName('outbox_messages', { state }),
);

const WINDOW_MINUTES = 10;
/** With less than that nothing is said. */
const MIN_MINUTES = 5;
/** Less in a minute is no change. */
const MIN_PER_MINUTE = 0.5;

/** Reads the trend of the last ten minutes; undefined where {@link outboxTrend} says so. */
export async function readOutboxTrend(
  { database }: { readonly database: Database },
  open: OpenMessages,
): Promise<OutboxTrend | undefined> {
  return outboxTrend(await readMinutes(database, 'hour', waitingSeries), open);
}

/**
 * The trend of the last ten minutes of a history of {@link waitingSeries} by the minute. Undefined while nothing waits, when
 * too few minutes are known, and when there were more messages than are counted.
 */
export function outboxTrend(
  history: MinuteHistory,
  { pending, enqueued }: OpenMessages,
): OutboxTrend | undefined {
  const waiting = pending.count + enqueued.count;
  const known = waitingCounts(history)
    .slice(-WINDOW_MINUTES - 1)
    .flatMap((count = Infinity, minute) =>
      count < MAX_COUNTED_MESSAGES ? [{ count, minute }] : [],
    );
  const [first, last] = [known[0], known.at(-1)];
  if (waiting === 0 || !first || !last) return undefined;
  const minutes = last.minute - first.minute;
  if (minutes < MIN_MINUTES) return undefined;
  const perMinute = (last.count - first.count) / minutes;
  return {
    per_minute: perMinute,
    measured_minutes: minutes,
    empty_in_seconds: perMinute > -MIN_PER_MINUTE ? null : Math.round((waiting / -perMinute) * 60),
  };
}

/** How many messages waited at each point; undefined where that is not known. */
export function waitingCounts(history: MinuteHistory): (number | undefined)[] {
  const states = waitingSeries.map((name) => history.maxima(name));
  return history.times.map((_, i) => {
    const values = states.flatMap((counts) => counts[i] ?? []);
    return values.length < states.length ? undefined : values.reduce((sum, each) => sum + each, 0);
  });
}

/** In words: `falling: empty in about 25 min at the rate of the last 10 min`, `growing by 120 a minute`, `steady`. */
export function trendText(trend: OutboxTrend): string {
  const { per_minute: perMinute, measured_minutes: minutes, empty_in_seconds: left } = trend;
  if (left !== null)
    return `falling: empty in about ${duration(left)} at the rate of the last ${minutes} min`;
  return perMinute < MIN_PER_MINUTE
    ? 'steady'
    : `growing by ${Math.round(perMinute).toLocaleString('en-US')} a minute`;
}
