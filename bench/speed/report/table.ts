import type { Outcome, Verdict } from '../paired-rounds.js';
import { PRODUCT, type Figure, type Sample } from '../measurement.js';

/** How a figure is headed and written. */
const figures: Readonly<Record<Figure, { head: string; write: (value: number) => string }>> = {
  perSecond: { head: 'per second', write: grouped },
  p50Ms: { head: 'p50', write: milliseconds },
  p99Ms: { head: 'p99', write: milliseconds },
  cpuUs: { head: 'CPU', write: (value) => `${grouped(value)} µs` },
  acceptedP50Ms: { head: 'to SMTP p50', write: milliseconds },
  acceptedP99Ms: { head: 'to SMTP p99', write: milliseconds },
  mailBytes: { head: 'mail', write: (value) => `${grouped(value)} bytes` },
  residentMb: { head: 'memory', write: (value) => `${value.toFixed(0)} MB` },
  growth: { head: 'growth', write: (value) => `${value.toFixed(2)} ×` },
  redisBytes: { head: 'Redis', write: (value) => `${value.toFixed(1)} bytes` },
  startMs: { head: 'start', write: milliseconds },
  foreignCpu: { head: 'foreign CPU', write: (value) => `${(value * 100).toFixed(0)} %` },
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
    foundOf(verdict),
    write(verdict, verdict.best),
    verdict.cpuRatio === undefined ? '' : `${verdict.cpuRatio.toFixed(2)} ×`,
    verdict.isMet ? 'met' : verdict.isStretch === true ? 'not yet' : 'MISSED',
  ];
}

/** The median that was found. */
export const foundOf = (verdict: Verdict): string => write(verdict, verdict.median);

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
          return column === 0 || row.length === 2 ? text.padEnd(width) : text.padStart(width);
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
  acceptedP50Ms: 'answer to SMTP accepted, p50',
  acceptedP99Ms: 'answer to SMTP accepted, p99',
  mailBytes: 'size of a mail',
  residentMb: 'resident memory',
  growth: 'memory at the end against the middle',
  redisBytes: 'Redis memory of 300 bytes',
  startMs: 'start',
  foreignCpu: 'foreign CPU',
};

/** What a goal compares. */
export function comparisonOf({ figure, of, beyond, against }: Verdict): string {
  const found = of === PRODUCT ? figureNames[figure] : `${of}: ${figureNames[figure]}`;
  const what = beyond === undefined ? found : `${found} beyond ${beyond},`;
  return against === undefined ? what : `${what} against ${against}`;
}

/** The bound of a goal. */
export function boundOf(verdict: Verdict): string {
  const { atLeast, atMost } = verdict;
  return atLeast === undefined
    ? `≤ ${write(verdict, atMost ?? NaN)}`
    : `≥ ${write(verdict, atLeast)}`;
}

function write({ figure, against }: Verdict, value: number): string {
  if (against !== undefined) return `${value.toFixed(2)} ×`;
  return figures[figure].write(value);
}

function cell(sample: Sample, figure: Figure): string {
  const value = sample[figure];
  return value === undefined ? '' : figures[figure].write(value);
}

function grouped(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 });
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}
