import type { Outcome, Verdict } from '../paired-rounds.js';
import type { Figure, Sample } from '../measurement.js';

/** How a figure is headed and written. */
const figures: Readonly<Record<Figure, { head: string; write: (value: number) => string }>> = {
  perSecond: { head: 'per second', write: (value) => grouped(value) },
  p50Ms: { head: 'p50 ms', write: (value) => value.toPrecision(3) },
  p99Ms: { head: 'p99 ms', write: (value) => value.toPrecision(3) },
  cpuUs: { head: 'CPU µs', write: (value) => grouped(value) },
  residentMiB: { head: 'MiB', write: (value) => grouped(value) },
  bytesPerLine: { head: 'bytes a line', write: (value) => value.toFixed(1) },
  ms: { head: 'ms', write: (value) => grouped(value) },
};

/** One line of a table. */
export type Row = readonly string[];

/** The contenders of a measurement and their figures; the head first. */
export function figuresOf({ contenders }: Outcome): readonly Row[] {
  const shown = (Object.keys(figures) as Figure[]).filter((figure) =>
    Object.values(contenders).some((sample) => sample[figure] !== undefined),
  );
  const rows = Object.entries(contenders).map(([name, sample]) =>
    [name].concat(shown.map((figure) => cell(sample, figure))),
  );
  return [['', ...shown.map((figure) => figures[figure].head)], ...rows];
}

/** A goal as it is written: what is compared, the bound, what was found, the best round, the ratio of CPU time, the verdict. */
export function verdictOf(verdict: Verdict): Row {
  return [
    comparisonOf(verdict),
    boundOf(verdict),
    write(verdict, verdict.median),
    write(verdict, verdict.best),
    verdict.cpuRatio === undefined ? '' : `${verdict.cpuRatio.toFixed(2)} ×`,
    verdict.isMet ? 'met' : verdict.isStretch === true ? 'not yet' : 'MISSED',
  ];
}

/** The head of {@link verdictOf}. */
export const verdictHead: Row = ['', 'goal', 'median', 'best', 'by CPU', ''];

/** Aligned columns for a terminal. */
export function aligned(rows: readonly Row[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => [...(row[column] ?? '')].length)),
  );
  return rows
    .map((row) =>
      row
        .map((text, column) => {
          const width = widths[column] ?? 0;
          return column === 0 ? text.padEnd(width) : text.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const figureNames: Readonly<Record<Figure, string>> = {
  perSecond: 'rate',
  p50Ms: 'p50',
  p99Ms: 'p99',
  cpuUs: 'CPU',
  residentMiB: 'resident memory',
  bytesPerLine: 'Redis memory a line',
  ms: 'time',
};

const comparisonOf = ({ figure, of, against }: Verdict): string =>
  against === undefined
    ? `${of}: ${figureNames[figure]}`
    : `${of}: ${figureNames[figure]} against ${against}`;

function boundOf(verdict: Verdict): string {
  const { atLeast, atMost } = verdict;
  return atLeast === undefined
    ? `≤ ${write(verdict, atMost ?? NaN)}`
    : `≥ ${write(verdict, atLeast)}`;
}

function write({ figure, against }: Verdict, value: number): string {
  if (against !== undefined) return `${value.toFixed(2)} ×`;
  return `${figures[figure].write(value)} ${figures[figure].head}`;
}

function cell(sample: Sample, figure: Figure): string {
  const value = sample[figure];
  return value === undefined ? '' : figures[figure].write(value);
}

const grouped = (value: number): string =>
  value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 });
