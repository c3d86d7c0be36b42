import { waitAtMost } from '../lifecycle/wait-at-most.js';
import {
  metricDefinitions,
  type LabelsOf,
  type MetricDefinition,
  type MetricName,
  type NamesOf,
  type NoLabels,
} from './catalogue.js';

/** The labels of a metric, if it has any. */
type Labels<N extends MetricName> = LabelsOf<N> extends NoLabels ? [] : [labels: LabelsOf<N>];

/** One value that is read when somebody asks for it. */
export interface Reading<N extends MetricName = MetricName> {
  readonly labels?: LabelsOf<N>;
  readonly value: number;
}

/** The values of some metrics, all read at once. */
export type Readings<N extends MetricName> = { readonly [M in N]?: readonly Reading<M>[] };

/** The process of a metric: `both` are of either. */
export type MetricProcess = Exclude<MetricDefinition['process'], 'both'>;

/** The values of one series: of a counter or a gauge one number; of a histogram the counts of its buckets, and the sum. */
export interface SeriesValue {
  readonly labels: Readonly<Record<string, string>>;
  /** Of a histogram: how many values there were. */
  readonly value: number;
  /** Not cumulative: as many as there are bounds, and one for what is above them all. */
  readonly buckets?: readonly number[];
  readonly sum?: number;
}

/** All values of a metric at one time. */
export interface MetricValues {
  readonly name: MetricName;
  readonly definition: MetricDefinition;
  readonly series: readonly SeriesValue[];
}

/**
 * What a process counts and measures. Counting costs an addition and a look-up by the labels; nothing is formatted and no
 * package is loaded before somebody reads it.
 */
export interface Metrics {
  readonly process: MetricProcess;
  /** Adds one to a counter. */
  count<N extends NamesOf<'counter'>>(name: N, ...labels: Labels<N>): void;
  /** Adds to a counter. */
  add<N extends NamesOf<'counter'>>(name: N, by: number, ...labels: Labels<N>): void;
  /** Adds a value to a histogram, in seconds. */
  observe<N extends NamesOf<'histogram'>>(name: N, seconds: number, ...labels: Labels<N>): void;
  /** A histogram's series, for a caller that uses it often: see {@link HistogramSeries}. */
  histogram<N extends NamesOf<'histogram'>>(name: N, ...labels: Labels<N>): HistogramSeries;
  /**
   * Registers gauges, or counters that something else counts, which are read together when they are asked for. A reading
   * that fails or takes longer than a second is left out and counted.
   */
  collect<N extends NamesOf<'gauge' | 'counter'>>(
    names: readonly N[],
    read: () => Readings<N> | Promise<Readings<N>>,
  ): void;
  /** Reads the metrics that are wanted; never rejects. */
  read(isWanted?: (definition: MetricDefinition) => boolean): Promise<MetricValues[]>;
}

/** The values of one histogram with one set of labels. */
export interface HistogramSeries {
  observe(seconds: number): void;
}

/** Guards memory against a defect: no metric has nearly as many by its labels. */
const MAX_SERIES = 2_000;
const READ_TIMEOUT_MS = 1_000;

interface Series extends SeriesValue {
  value: number;
  sum?: number;
  readonly buckets?: number[];
}

interface Metric {
  readonly name: MetricName;
  readonly definition: MetricDefinition;
  readonly labelNames: readonly string[];
  readonly bounds: readonly number[];
  readonly series: Map<string, Series>;
}

interface Collector {
  readonly names: readonly MetricName[];
  readonly read: () => Readings<MetricName> | Promise<Readings<MetricName>>;
}

/** The metrics of one process: those of the catalogue that are its own. */
export function createMetrics(process: MetricProcess): Metrics {
  const all = Object.entries(metricDefinitions)
    .filter(([, definition]) => ['both', process].includes(definition.process))
    .map(([name, definition]) => createMetric(name as MetricName, definition));
  const byName = new Map(all.map((metric) => [metric.name, metric]));
  const collectors: Collector[] = [];
  const seriesOf = (name: MetricName, labels: Readonly<Record<string, string>> = {}): Series => {
    const metric = byName.get(name);
    if (!metric) throw new Error(`${name} is not a metric of this process`);
    return findSeries(metric, labels);
  };
  const metrics: Metrics = {
    process,
    count: (name, ...[labels]) => void (seriesOf(name, labels).value += 1),
    add: (name, by, ...[labels]) => void (seriesOf(name, labels).value += by),
    observe: (name, seconds, ...[labels]) =>
      observe(seriesOf(name, labels), metricDefinitions[name].buckets ?? [], seconds),
    histogram(name, ...[labels]) {
      const series = seriesOf(name, labels);
      const bounds = metricDefinitions[name].buckets ?? [];
      return { observe: (seconds) => observe(series, bounds, seconds) };
    },
    collect: (names, read) => void collectors.push({ names, read }),
    async read(isWanted = () => true) {
      const wanted = all.filter(({ definition }) => isWanted(definition));
      const collected = await readCollectors(metrics, collectors, wanted);
      return wanted.flatMap((metric) => valuesOf(metric, collectors, collected));
    },
  };
  return metrics;
}

/** A metric whose labels' values are all known has all its series from the start: a rate needs the zero before the first. */
function createMetric(name: MetricName, definition: MetricDefinition): Metric {
  const labels = Object.entries(definition.labels ?? {});
  const metric: Metric = {
    name,
    definition,
    labelNames: labels.map(([label]) => label),
    bounds: definition.buckets ?? [],
    series: new Map(),
  };
  if (definition.type === 'gauge' || labels.some(([, values]) => values.length === 0))
    return metric;
  const combinations = labels.reduce<readonly Record<string, string>[]>(
    (all, [label, values]) =>
      all.flatMap((each) => values.map((value) => ({ ...each, [label]: value }))),
    [{}],
  );
  for (const each of combinations) findSeries(metric, each);
  return metric;
}

function findSeries(metric: Metric, labels: Readonly<Record<string, string>>): Series {
  const key = keyOf(metric, labels);
  const known = metric.series.get(key);
  if (known) return known;
  if (metric.series.size >= MAX_SERIES && key !== OTHER) {
    const others = Object.fromEntries(metric.labelNames.map((name) => [name, OTHER]));
    return metric.series.get(OTHER) ?? addSeries(metric, OTHER, others);
  }
  return addSeries(metric, key, { ...labels });
}

const OTHER = 'other';

function addSeries(metric: Metric, key: string, labels: Readonly<Record<string, string>>): Series {
  const series: Series = {
    labels,
    value: 0,
    ...(metric.definition.type === 'histogram' && {
      sum: 0,
      buckets: Array.from({ length: metric.bounds.length + 1 }, () => 0),
    }),
  };
  metric.series.set(key, series);
  return series;
}

function keyOf({ labelNames }: Metric, labels: Readonly<Record<string, string>>): string {
  const [first] = labelNames;
  if (first === undefined) return '';
  if (labelNames.length === 1) return labels[first] ?? '';
  return labelNames.map((name) => labels[name] ?? '').join('\n');
}

function observe(series: Series, bounds: readonly number[], seconds: number): void {
  const { buckets } = series;
  if (!buckets) return;
  let i = 0;
  while (i < bounds.length && seconds > (bounds[i] ?? Infinity)) i += 1;
  buckets[i] = (buckets[i] ?? 0) + 1;
  series.value += 1;
  series.sum = (series.sum ?? 0) + seconds;
}

/** The readings of those collectors that have a wanted metric. */
async function readCollectors(
  metrics: Metrics,
  collectors: readonly Collector[],
  wanted: readonly Metric[],
): Promise<ReadonlyMap<MetricName, readonly Reading[]>> {
  const names = new Set(wanted.map(({ name }) => name));
  const found = new Map<MetricName, readonly Reading[]>();
  await Promise.all(
    collectors
      .filter((collector) => collector.names.some((name) => names.has(name)))
      .map(async (collector) => {
        try {
          const readings = await waitAtMost(READ_TIMEOUT_MS, collector.read());
          if (!readings) throw new Error('took too long');
          for (const name of collector.names) {
            const more: readonly Reading[] = readings[name] ?? [];
            found.set(name, [...(found.get(name) ?? []), ...more]);
          }
        } catch {
          for (const metric of collector.names)
            metrics.count('rollcall_metric_read_failures_total', { metric });
        }
      }),
  );
  return found;
}

/** A metric that is collected has no values where it could not be. */
function valuesOf(
  { name, definition, series }: Metric,
  collectors: readonly Collector[],
  collected: ReadonlyMap<MetricName, readonly Reading[]>,
): MetricValues[] {
  const readings = collected.get(name);
  if (readings)
    return [
      {
        name,
        definition,
        series: readings.map(({ labels = {}, value }) => ({ labels, value })),
      },
    ];
  if (collectors.some(({ names }) => names.includes(name))) return [];
  return definition.type === 'gauge' ? [] : [{ name, definition, series: [...series.values()] }];
}
