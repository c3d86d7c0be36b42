import type { MetricValue } from './cloudwatch.port.js';

/**
 * Every metric that workers publish to CloudWatch, with its unit. The scaling policy and the alarms of `.ebextensions` and
 * `infra` read them by these names; docs/scaling.md says what they mean.
 */
export const publishedMetrics = {
  WorkersNeeded: 'Count',
  WorkHeld: 'None',
  OutboxOldestSeconds: 'Seconds',
  OutboxMessages: 'Count',
  DeadLetters: 'Count',
  LogLinesDropped: 'Count',
} as const satisfies Readonly<Record<string, MetricValue['unit']>>;

/** A value under a name of the list, with its unit. */
export const metricValue = (name: keyof typeof publishedMetrics, value: number): MetricValue => ({
  name,
  unit: publishedMetrics[name],
  value,
});
