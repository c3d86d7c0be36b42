/** A number that the simulation takes for granted, and where it comes from. */
interface Assumption {
  readonly value: number;
  readonly unit: string;
  readonly source: string;
}

const MIB = 1_024 * 1_024;
const PERFORMANCE = '[performance](performance.md)';
const MEASURED = '[measured](#what-a-registration-costs)';
const FIREHOSE_LIMITS =
  '[AWS](https://docs.aws.amazon.com/firehose/latest/dev/limits.html), Direct PUT, until it is raised';

/** Every number of the simulation and of the capacity on paper that is not part of a scenario. docs/scaling.md lists them. */
export const assumptions = {
  'connections of a worker': {
    value: 20,
    unit: '',
    source:
      'default of `MAIL_CONNECTIONS` from 58 mails a second on; below, as many as `MAIL_RATE` needs',
  },
  'time of a mail over SMTP': {
    value: 0.35,
    unit: 's',
    source:
      'estimate of [smtp.mailer.ts](../workers/mail/smtp/smtp.mailer.ts), generous for SES in the same region',
  },
  'CPU of a mail': {
    value: 0.0012,
    unit: 's',
    source: `${PERFORMANCE}, mail, measured on 30 November 2026`,
  },
  'CPU of a log line, worker': {
    value: 25.5e-6,
    unit: 's',
    source: `what [workers](../workers/cloudwatch/work-facts.ts) count with: about twice what ${PERFORMANCE} has, two-workers, measured on 30 November 2026`,
  },
  'CPU of a hash, cost 12': {
    value: 0.33,
    unit: 's',
    source: `${PERFORMANCE}, login, measured on 30 November 2026: bcrypt at cost 10, four times`,
  },
  'CPU of a registration, API': {
    value: 0.0043,
    unit: 's',
    source: `${MEASURED}, apart from its hash`,
  },
  'CPU of a registration, PostgreSQL': { value: 0.0032, unit: 's', source: MEASURED },
  'CPU of a registration, Redis': { value: 0.00065, unit: 's', source: `${MEASURED}: 50 commands` },
  'WAL of a registration': { value: 5_490, unit: 'bytes', source: `${MEASURED}: 5 commits` },
  'log lines of a registration': { value: 4, unit: '', source: `${MEASURED}: two of each process` },
  'size of a log line': { value: 570, unit: 'bytes', source: MEASURED },
  'deleting 1,000 settled messages': { value: 0.15, unit: 's', source: MEASURED },
  'time for deleting, a worker': {
    value: 34_560,
    unit: 's a day',
    source: '[tasks.ts](../workers/tasks/tasks.ts): 40 s of each 100 s, while rows are left',
  },
  'Firehose, large regions': { value: 5 * MIB, unit: 'bytes/s', source: FIREHOSE_LIMITS },
  'Firehose, other regions': { value: MIB, unit: 'bytes/s', source: FIREHOSE_LIMITS },
  'vCPUs of an instance': { value: 2, unit: '', source: 't3.small' },
  'vCPUs of a large API instance': { value: 16, unit: '', source: 'chosen' },
  'thread pool of the image': {
    value: 8,
    unit: 'threads',
    source: "`UV_THREADPOOL_SIZE` in [Dockerfile.api](../Dockerfile.api); Node's own default is 4",
  },
  'price of an instance': {
    value: 0.0208,
    unit: '$ an hour',
    source: 't3.small, on demand, us-east-1',
  },
  'until an instance is in service': {
    value: 60,
    unit: 's',
    source: 'assumed; the group counts it from then on, though it does not work yet',
  },
  'until a new worker works': {
    value: 240,
    unit: 's',
    source: 'assumed: boot, platform, image pulled; other times are tried above',
  },
  'until a mail server that is back is noticed': {
    value: 10,
    unit: 's',
    source: 'longest pause of the [circuit breaker](../workers/mail/delivery/circuit-breaker.ts)',
  },
  'interval of the metric': { value: 60, unit: 's', source: 'standard resolution' },
  'delay of a value': { value: 30, unit: 's', source: 'assumed' },
  'values above the target until instances are added': {
    value: 3,
    unit: '',
    source: 'alarms of target tracking as they were observed; AWS does not promise it',
  },
  'values below it until instances are removed': { value: 15, unit: '', source: 'the same' },
  'share of the target that these are below': {
    value: 0.9,
    unit: '',
    source:
      '[AWS](https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html): usually more than 10 % lower',
  },
} as const satisfies Readonly<Record<string, Assumption>>;

/** The value of an assumption. */
export const assumed = (name: keyof typeof assumptions): number => assumptions[name].value;

/** Mails per second of one worker whose SES account allows so many: by its connections, or by its CPU. */
export function mailsPerWorker(sesPerSecond: number): number {
  const seconds = assumed('time of a mail over SMTP');
  const connections = Math.min(
    Math.ceil(sesPerSecond * seconds),
    assumed('connections of a worker'),
  );
  return Math.min(connections / seconds, 1 / assumed('CPU of a mail'));
}

/** Log lines per second of one worker, by its CPU. */
export const linesPerWorker = (): number => 1 / assumed('CPU of a log line, worker');
