/** A time for people. */
export const timeText = (at: Date): string => at.toISOString();

/** Seconds for people, in the unit that fits. */
export function ageText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}

/** Rows as lines whose cells stand below one another. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? '').length)),
  );
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `1 mail`, `2 mails`. */
export const countText = (n: number, one: string, many = `${one}s`): string =>
  `${n} ${n === 1 ? one : many}`;
