const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A length of time as people say it, rounded: `45 minutes`, `24 hours`, `3 days`. At least a minute. */
export function inWords(ms: number): string {
  if (ms >= 2 * DAY_MS) return counted(ms / DAY_MS, 'day');
  if (ms >= 1.5 * HOUR_MS) return counted(ms / HOUR_MS, 'hour');
  return counted(Math.max(ms / MINUTE_MS, 1), 'minute');
}

function counted(amount: number, unit: string): string {
  const count = Math.round(amount);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

const utcFormat = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'long',
  timeStyle: 'short',
  timeZone: 'UTC',
});

/** A time that reads the same everywhere: `23 November 2026 at 14:05 UTC`. */
export const utcTime = (time: Date): string => `${utcFormat.format(time)} UTC`;
