/** A duration for people, in its largest unit: 30 ms, 0.4 s, 12 s, 3 min, 2 h, 5 d. */
export function duration(seconds: number): string {
  if (seconds <= 0) return '0 s';
  if (seconds < 0.0995) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  if (seconds < 7_170) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}
