import { publishedMetrics } from '../../../workers/cloudwatch/published-metrics.js';
import { assumed } from '../../scaling/assumptions.js';
import { isRecord, type Configuration } from './config-files.js';
import type { DeployFinding } from './finding.js';
import type { OptionSetting } from './options.js';

const PROPERTIES = 'aws:elasticbeanstalk:application:environment';
/** What AWS publishes itself. */
const OF_AWS = /^AWS\//;

/**
 * What the scaling policy and the alarms read of our own metrics is published: under this name, in the namespace that the worker
 * is given. An expression names series that are there. As many instances at most as docs/scaling.md says.
 */
export function checkScaling(
  { settings, resources }: Pick<Configuration, 'settings' | 'resources'>,
  examples: readonly OptionSetting[],
): DeployFinding[] {
  const textOf = (namespace: string, name: string): string | undefined => {
    const found = [...settings, ...examples].find(
      (each) => each.namespace === namespace && each.name === name,
    );
    return found && String(found.value);
  };
  const given = textOf(PROPERTIES, 'METRICS_CLOUDWATCH_NAMESPACE');
  const findings = resources.flatMap(({ where, name, definition }) =>
    recordsIn(definition)
      .flatMap((record) => problemsOfMetric(record, given).concat(problemsOfExpression(record)))
      .map((problem) => ({ where, problem: `${name}: ${problem}` })),
  );
  const rate = textOf(PROPERTIES, 'MAIL_RATE');
  const most = textOf('aws:autoscaling:asg', 'MaxSize');
  if (rate === undefined || most === undefined || Number(most) === workersAtMost(Number(rate)))
    return findings;
  const problem = `MaxSize must be ${workersAtMost(Number(rate))} for MAIL_RATE=${rate}: docs/scaling.md`;
  return [...findings, { where: 'options together', problem }];
}

/** As many as reach the rate, and one more. */
const workersAtMost = (mailRate: number): number =>
  Math.ceil((mailRate * assumed('time of a mail over SMTP')) / assumed('connections of a worker')) +
  1;

type Fields = Readonly<Record<string, unknown>>;

function problemsOfMetric(
  { Namespace, MetricName, Dimensions }: Fields,
  given: string | undefined,
): string[] {
  if (typeof Namespace !== 'string' || typeof MetricName !== 'string' || OF_AWS.test(Namespace))
    return [];
  const names = Array.isArray(Dimensions)
    ? Dimensions.map((each) => (isRecord(each) ? String(each['Name']) : ''))
    : [];
  return [
    ...(Namespace === given ? [] : [`workers publish to ${given ?? 'nothing'}, not ${Namespace}`]),
    ...(MetricName in publishedMetrics ? [] : [`workers publish no ${MetricName}`]),
    ...(names.join() === 'Environment' ? [] : ['the one dimension is Environment']),
  ];
}

/** A list of series, some of which are computed from the others. */
function problemsOfExpression({ Metrics }: Fields): string[] {
  if (!Array.isArray(Metrics)) return [];
  const series = Metrics.filter(isRecord);
  const ids = series.map(({ Id }) => String(Id));
  const expressions = series
    .map(({ Expression }) => Expression)
    .filter((expression) => typeof expression === 'string');
  return expressions.flatMap((expression) =>
    [...expression.matchAll(/\b[a-z]\w*/g)]
      .filter(([id]) => !ids.includes(id))
      .map(([id]) => `${expression}: there is no series ${id}`),
  );
}

function recordsIn(value: unknown): Fields[] {
  if (Array.isArray(value)) return value.flatMap(recordsIn);
  return isRecord(value) ? [value, ...Object.values(value).flatMap(recordsIn)] : [];
}
