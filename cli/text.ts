/** A time for people. */
export const timeText = (at: Date): string => at.toISOString();

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
