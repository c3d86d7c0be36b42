import type { MetricDefinition } from './catalogue.js';
import type { Metrics, MetricValues, SeriesValue } from './metrics.js';

/** What a process adds to the per-minute metrics. */
export interface MinuteValues {
  /** By the name of the series: how much more was counted since the last write. */
  readonly sums: ReadonlyMap<string, number>;
  /** By the name of the series: the greatest value since the last write. */
  readonly maxima: ReadonlyMap<string, number>;
}

/** Takes what was counted since the last write. */
export interface Minutes {
  /** What is to be written now: together with whatever an earlier write failed to. */
  take(): Promise<MinuteValues>;
  /** What was taken is written. */
  written(values: MinuteValues): void;
}

/** The name of a series of the per-minute metrics, such as `mail_outcomes{outcome="sent"}`. */
export function keptName(as: string, labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length > 0 ? `${as}{${pairs.join(',')}}` : as;
}

const isKept = ({ kept }: MetricDefinition): boolean => kept !== undefined;

/** What of a process's metrics is kept in PostgreSQL, as differences between one write and the next. */
export function createMinutes(metrics: Metrics): Minutes {
  /** What was counted in all until the last write. */
  const counted = new Map<string, number>();
  /** What was read since the last write. */
  const maxima = new Map<string, number>();
  return {
    async take() {
      const now = new Map<string, number>();
      for (const values of await metrics.read(isKept)) {
        if (values.definition.kept?.how === 'max') raise(maxima, values);
        else sumUp(now, keptOf(values));
      }
      const sums = new Map<string, number>();
      for (const [name, value] of now) {
        const more = value - (counted.get(name) ?? 0);
        if (more !== 0) sums.set(name, more);
      }
      return { sums, maxima: new Map(maxima) };
    },
    written(values) {
      for (const [name, more] of values.sums) counted.set(name, (counted.get(name) ?? 0) + more);
      maxima.clear();
    },
  };
}

function keptOf(values: MetricValues): MetricValues {
  const { where } = values.definition.kept ?? {};
  return where
    ? { ...values, series: values.series.filter(({ labels }) => where(labels)) }
    : values;
}

function raise(maxima: Map<string, number>, { definition, series }: MetricValues): void {
  for (const each of series) {
    const name = nameOf(definition, each);
    maxima.set(name, Math.max(maxima.get(name) ?? -Infinity, each.value));
  }
}

/** A histogram has a series for the count, one for the sum, and one for each bucket (not cumulative). */
function sumUp(totals: Map<string, number>, { definition, series }: MetricValues): void {
  const add = (name: string, value: number): void =>
    void totals.set(name, (totals.get(name) ?? 0) + value);
  for (const each of series) {
    if (!each.buckets) {
      add(nameOf(definition, each), each.value);
      continue;
    }
    add(nameOf(definition, each, '_count'), each.value);
    add(nameOf(definition, each, '_sum'), each.sum ?? 0);
    for (const [i, count] of each.buckets.entries()) {
      if (count === 0) continue;
      const le = String(definition.buckets?.[i] ?? '+Inf');
      add(nameOf(definition, each, '_bucket', { le }), count);
    }
  }
}

function nameOf(
  { kept }: MetricDefinition,
  { labels }: SeriesValue,
  suffix = '',
  more: Readonly<Record<string, string>> = {},
): string {
  if (!kept) throw new Error('the metric is not kept');
  const { as, by = (all) => all } = kept;
  return keptName(`${as}${suffix}`, { ...by(labels), ...more });
}
