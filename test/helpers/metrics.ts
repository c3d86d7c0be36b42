import type { MetricName } from '../../shared/metrics/catalogue.js';
import type { Metrics } from '../../shared/metrics/metrics.js';

/** What a metric says: the sum over its series with these labels; of a histogram how many values there were. */
export async function measured(
  metrics: Metrics,
  name: MetricName,
  wanted: Readonly<Record<string, string>> = {},
): Promise<number> {
  const values = (await metrics.read()).find((each) => each.name === name);
  if (!values) throw new Error(`${name} has no values`);
  return values.series
    .filter(({ labels }) =>
      Object.entries(wanted).every(([label, value]) => labels[label] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);
}
