import { variables, type VariableName } from '../../../shared/config/variables.js';
import type { Tier } from '../bundle.js';
import type { DeployFinding } from './finding.js';
import { namespaces, type OptionRule } from './option-rules.js';

/** An option as it is set somewhere. */
export interface OptionSetting {
  /** The file that sets it. */
  readonly where: string;
  readonly namespace: string;
  readonly name: string;
  readonly value: unknown;
}

const PROPERTIES = 'aws:elasticbeanstalk:application:environment';
const SECRETS = 'aws:elasticbeanstalk:application:environmentsecrets';
/** Whose resources there are only in one of the tiers. */
const TIER_OF: readonly (readonly [prefix: string, tier: Tier])[] = [
  ['aws:elbv2:', 'web'],
  ['aws:elasticbeanstalk:environment:process:', 'web'],
  ['aws:elasticbeanstalk:sqsd', 'worker'],
];
/** environments-cfg-softwaresettings.html: all properties together. */
const MAX_PROPERTY_BYTES = 4_096;
const MAX_VALUE_LENGTH = 256;
/** How long a message is posted again, at least: PostgreSQL may be gone for that long. */
const MIN_RETRIES_S = 3_600;
/** A CloudFormation function in an option: `{"Ref": "..."}` in backticks. */
export const inlineFunction = /^`(\{.*\})`$/s;
/** AWSHowTo.secrets.env-vars.html: with the six random characters, and at most one key of its JSON. */
const SECRET_ARN =
  /^arn:aws[\w-]*:(?:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+-[A-Za-z0-9]{6}(?::[\w-]+)?|ssm:[a-z0-9-]+:\d{12}:parameter\/[\w/.-]+)$/;

/** Names and values against the allow-list; what two files set differently; what belongs to the other tier. */
export function checkOptions(tier: Tier, settings: readonly OptionSetting[]): DeployFinding[] {
  const findings = settings.flatMap((setting) => {
    const problem = problemOf(tier, setting);
    const { where, namespace, name } = setting;
    return problem === undefined ? [] : [{ where, problem: `${namespace} ${name}: ${problem}` }];
  });
  return [...findings, ...contradictions(settings), ...oversized(settings)];
}

function problemOf(tier: Tier, { namespace, name, value }: OptionSetting): string | undefined {
  const known = namespaces[namespace];
  if (!known) return 'no such namespace is known here';
  const [, owner = tier] = TIER_OF.find(([prefix]) => namespace.startsWith(prefix)) ?? [];
  if (owner !== tier) return `there is none in the tier ${tier}`;
  if (typeof value !== 'string') return 'its value must be a text: quote it';
  if (namespace === PROPERTIES) return problemOfProperty(name, value);
  if (namespace === SECRETS)
    return SECRET_ARN.test(value) && name in variables
      ? undefined
      : 'not a variable and the ARN of its secret';
  const rule = known.options[name];
  if (rule === undefined) return `no such option is known here; see ${known.source}`;
  return inlineFunction.test(value) || isAllowed(rule, value)
    ? undefined
    : `the value ${JSON.stringify(value)} is not allowed; see ${known.source}`;
}

/** A property must be a variable that the product reads, with a value that it takes. */
function problemOfProperty(name: string, value: string): string | undefined {
  if (!(name in variables)) return 'Rollcall reads no such variable';
  if (value.length > MAX_VALUE_LENGTH) return `longer than ${MAX_VALUE_LENGTH} characters`;
  if (inlineFunction.test(value)) return undefined;
  return variables[name as VariableName].schema.safeParse(value).success
    ? undefined
    : `Rollcall refuses the value ${JSON.stringify(value)}`;
}

function isAllowed(rule: OptionRule, value: string): boolean {
  if (rule instanceof RegExp) return rule.test(value);
  if ('min' in rule)
    return /^\d+$/.test(value) && Number(value) >= rule.min && Number(value) <= rule.max;
  return rule.includes(value);
}

/** Of two files the later one would win, unseen. */
function contradictions(settings: readonly OptionSetting[]): DeployFinding[] {
  const first = new Map<string, OptionSetting>();
  return settings.flatMap((setting) => {
    const key = `${setting.namespace} ${setting.name}`;
    const earlier = first.get(key);
    first.set(key, earlier ?? setting);
    if (!earlier) return [];
    return [{ where: setting.where, problem: `${key}: ${earlier.where} sets it too` }];
  });
}

function oversized(settings: readonly OptionSetting[]): DeployFinding[] {
  const properties = settings.filter(
    ({ namespace }) => namespace === PROPERTIES || namespace === SECRETS,
  );
  const bytes = properties.reduce(
    (sum, { name, value }) => sum + name.length + String(value).length + 1,
    0,
  );
  return bytes <= MAX_PROPERTY_BYTES
    ? []
    : [{ where: PROPERTIES, problem: `${bytes} bytes, more than ${MAX_PROPERTY_BYTES}` }];
}

/** What several options must be to one another, and to the API and the worker. */
export function checkOptionPairs(
  settings: readonly OptionSetting[],
  times: {
    readonly apiKeepAliveS: number;
    readonly workerKeepAliveS: number;
    readonly longestRequestS: number;
  },
): DeployFinding[] {
  const number = (namespace: string, name: string): number | undefined => {
    const found = settings.find((each) => each.namespace === namespace && each.name === name);
    return found === undefined ? undefined : Number(found.value);
  };
  const idle = number('aws:elbv2:loadbalancer', 'IdleTimeout');
  const delay = number('aws:elasticbeanstalk:environment:process:default', 'DeregistrationDelay');
  const inactivity = number('aws:elasticbeanstalk:sqsd', 'InactivityTimeout');
  const visibility = number('aws:elasticbeanstalk:sqsd', 'VisibilityTimeout');
  const errorVisibility = number('aws:elasticbeanstalk:sqsd', 'ErrorVisibilityTimeout');
  const maxRetries = number('aws:elasticbeanstalk:sqsd', 'MaxRetries');
  const rules: readonly (readonly [holds: boolean, problem: string])[] = [
    [
      idle === undefined || idle < times.apiKeepAliveS,
      'IdleTimeout must be below the keep-alive time of the API: it would close connections that the load balancer uses',
    ],
    [
      delay === undefined || delay >= times.longestRequestS,
      'DeregistrationDelay must be at least what a request may take',
    ],
    [
      inactivity === undefined || inactivity < times.workerKeepAliveS,
      'InactivityTimeout must be below the keep-alive time of the worker: the daemon would post twice',
    ],
    [
      inactivity === undefined || visibility === undefined || inactivity < visibility,
      'VisibilityTimeout must exceed InactivityTimeout: a message would be posted while it is worked on',
    ],
    [
      inactivity === undefined || (errorVisibility ?? 2) * (maxRetries ?? 10) >= MIN_RETRIES_S,
      'ErrorVisibilityTimeout times MaxRetries must be at least an hour: a short outage would make dead letters',
    ],
    [
      (number('aws:autoscaling:asg', 'MinSize') ?? 1) <=
        (number('aws:autoscaling:asg', 'MaxSize') ?? 4),
      'MinSize must not exceed MaxSize',
    ],
    [
      (number('aws:autoscaling:trigger', 'Period') ?? 5) *
        (number('aws:autoscaling:trigger', 'EvaluationPeriods') ?? 1) ===
        (number('aws:autoscaling:trigger', 'BreachDuration') ?? 5),
      'BreachDuration must be Period times EvaluationPeriods: else Elastic Beanstalk changes one of them',
    ],
  ];
  return rules
    .filter(([holds]) => !holds)
    .map(([, problem]) => ({ where: 'options together', problem }));
}
