import type { Gauge } from 'prom-client';
import type { Metrics, MetricValues, SeriesValue } from './metrics.js';

/** The answer to a scrape. */
export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/**
 * Writes all metrics of a process in Prometheus's text format. Scrapes that come while one is being read share its answer.
 * Never rejects for a dependency that is down: what cannot be read within a second is left out.
 */
export function createExposition(metrics: Metrics): () => Promise<Exposition> {
  let inProgress: Promise<Exposition> | undefined;
  return () =>
    (inProgress ??= expose(metrics).finally(() => {
      inProgress = undefined;
    }));
}

/** The package is loaded at the first scrape. */
async function expose(metrics: Metrics): Promise<Exposition> {
  const [{ Registry }, all] = await Promise.all([import('prom-client'), metrics.read()]);
  const registry = new Registry();
  // A registry reads no more of a metric than its name and this method.
  for (const values of all)
    registry.registerMetric({
      name: values.name,
      get: async () => registered(values),
    } as unknown as Gauge);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

const registered = ({ name, definition, series }: MetricValues) => ({
  name,
  help: definition.help,
  type: definition.type,
  values: series.flatMap((each) =>
    each.buckets
      ? histogramValues(name, definition.buckets ?? [], each)
      : [{ labels: each.labels, value: each.value }],
  ),
});

/** Prometheus's buckets are cumulative. */
function histogramValues(
  name: string,
  bounds: readonly number[],
  { labels, value, sum = 0, buckets = [] }: SeriesValue,
) {
  let cumulative = 0;
  const counts = [...bounds.map(String), '+Inf'].map((le, i) => {
    cumulative += buckets[i] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: cumulative };
  });
  return [
    ...counts,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value },
  ];
}
