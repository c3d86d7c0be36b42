/** How well two samples can be distinguished. */
export interface Comparison {
  /**
   * Area under the ROC curve: the probability that a value of the first sample is greater than one of the second, ties
   * counted as half. 0.5 means indistinguishable, 0 and 1 fully separable. It is the Mann–Whitney U statistic divided by
   * the number of pairs (Fawcett, "An introduction to ROC analysis", 2006, section 7).
   */
  readonly auc: number;
  readonly medians: readonly [number, number];
}

/** Compares two samples. @throws {RangeError} if one is empty. */
export function compare(first: readonly number[], second: readonly number[]): Comparison {
  return { auc: areaUnderCurve(first, second), medians: [median(first), median(second)] };
}

function areaUnderCurve(first: readonly number[], second: readonly number[]): number {
  const all = [
    ...first.map((value) => ({ value, isFirst: true })),
    ...second.map((value) => ({ value, isFirst: false })),
  ].toSorted((one, other) => one.value - other.value);
  let rankSum = 0;
  for (let start = 0; start < all.length;) {
    let end = start;
    while (end < all.length && all[end]?.value === all[start]?.value) end += 1;
    // Equal values share the mean of the ranks from `start + 1` to `end`.
    const rank = (start + 1 + end) / 2;
    rankSum += rank * all.slice(start, end).filter(({ isFirst }) => isFirst).length;
    start = end;
  }
  const u = rankSum - (first.length * (first.length + 1)) / 2;
  return u / (first.length * second.length);
}

/** The value in the middle of a list, or the mean of the two there. @throws {RangeError} if it is empty. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError('an empty sample');
  return (lower + upper) / 2;
}
