import { queueNames } from '../queues/registry.js';

/** How a metric's values of each minute are kept in PostgreSQL, for the charts of the console. */
interface Kept {
  /** The name of its series there, without unit. */
  readonly as: string;
  /** Of several processes, and of several minutes: the sum of what was counted, or the greatest of what was read. */
  readonly how: 'sum' | 'max';
  /** Which series are kept, by their labels; without it all are. */
  readonly where?: (labels: Readonly<Record<string, string>>) => boolean;
  /** The labels that remain; without it all do. Values of equal labels are added up. */
  readonly by?: (labels: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
}

/** All there is to say about one metric. */
interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly process: 'both' | 'api' | 'worker';
  /** Its labels, in their order, with all values that each may have. {@link FROM_CODE}: values that the code lists elsewhere. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds of a histogram's buckets, ascending. */
  readonly buckets?: readonly number[];
  readonly kept?: Kept;
}

/** A label whose values are listed elsewhere in the code, such as the templates of routes: as bounded as the others. */
const FROM_CODE: readonly string[] = [];

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const CALL_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** From what nobody notices to more than a day. */
export const DELAY_SECONDS = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400,
];

/** More outbox messages of a state are not counted: the partial indexes have them, and a scrape must stay cheap. */
export const MAX_COUNTED_MESSAGES = 100_000;

/** What asks for these is a load balancer, a container's health check or a scrape: no answer to a client. */
const isOfClient = ({ http_route: route = '' }: Readonly<Record<string, string>>): boolean =>
  !route.startsWith('/health/') && route !== '/metrics';

/** What became of an attempt at a mail. */
const mailOutcomes = ['sent', 'obsolete', 'deferred', 'dead', 'uncertain'] as const;
/** Why an attempt at a mail failed: the effects of `mail.port.ts`, and `own` for an error that the mail server did not cause. */
const mailFailureEffects = [
  'retry',
  'refuse',
  'unreachable',
  'lost',
  'unanswered',
  'throttle',
  'misconfigured',
  'abort',
  'own',
] as const;
/** How an attempt of a job ended, by the effects of `job-effects.ts`. */
const jobResults = ['completed', 'retried', 'failed', 'delayed', 'throttled', 'returned'] as const;
const jobStates = ['waiting', 'delayed', 'active', 'completed', 'failed'] as const;
const hashStates = ['running', 'waiting'] as const;
const pools = ['models', 'statements'] as const;
const poolStates = ['idle', 'used'] as const;

const catalogue = {
  // Process.
  rollcall_build_info: {
    type: 'gauge',
    help: 'Always 1; the running release and `APP_ENV` are in the labels.',
    process: 'both',
    labels: { version: FROM_CODE, service: FROM_CODE, environment: FROM_CODE, node: FROM_CODE },
  },
  process_start_time_seconds: {
    type: 'gauge',
    help: 'When the process started, as a Unix time.',
    process: 'both',
  },
  process_cpu_seconds_total: {
    type: 'counter',
    help: 'User and system CPU time spent.',
    process: 'both',
    kept: { as: 'cpu_seconds', how: 'sum' },
  },
  process_resident_memory_bytes: {
    type: 'gauge',
    help: 'Resident memory.',
    process: 'both',
    kept: { as: 'memory_bytes', how: 'max' },
  },
  nodejs_heap_size_used_bytes: { type: 'gauge', help: 'Used heap of V8.', process: 'both' },
  nodejs_eventloop_lag_p99_seconds: {
    type: 'gauge',
    help: '99th percentile of the delay of the event loop within the last one to two minutes.',
    process: 'both',
  },
  nodejs_eventloop_lag_max_seconds: {
    type: 'gauge',
    help: 'Longest delay of the event loop within the last one to two minutes.',
    process: 'both',
    kept: { as: 'eventloop_lag_seconds', how: 'max' },
  },
  rollcall_readiness_check: {
    type: 'gauge',
    help: '1 while a readiness check passes, 0 while it fails; as of the last quarter of a minute. Also for `clock`, as of the last minute, which does not affect readiness.',
    process: 'both',
    labels: { check: FROM_CODE },
  },
  rollcall_red_state: {
    type: 'gauge',
    help: '1 while this process sees a red state, 0 while it does not; absent when it cannot tell.',
    process: 'both',
    labels: { name: FROM_CODE },
  },
  rollcall_metric_read_failures_total: {
    type: 'counter',
    help: 'Readings of a gauge that failed or took too long: the gauge is then absent from the answer.',
    process: 'both',
    labels: { metric: FROM_CODE },
  },
  rollcall_presence_write_failures_total: {
    type: 'counter',
    help: 'Failed writes of presence and of per-minute metrics. Counts are kept for the next write.',
    process: 'both',
  },

  // PostgreSQL and the outbox.
  db_client_connection_count: {
    type: 'gauge',
    help: 'Connections to PostgreSQL.',
    process: 'both',
    labels: { db_client_connection_pool_name: pools, db_client_connection_state: poolStates },
  },
  db_client_connection_max: {
    type: 'gauge',
    help: 'Connections to PostgreSQL that a pool may open.',
    process: 'both',
    labels: { db_client_connection_pool_name: pools },
  },
  db_client_connection_pending_requests: {
    type: 'gauge',
    help: 'Statements and transactions that wait for a connection.',
    process: 'both',
    labels: { db_client_connection_pool_name: pools },
  },
  rollcall_outbox_messages: {
    type: 'gauge',
    help: 'Outbox messages by state (pending: those that are due); at most 100,000 of each are counted. The same in every process.',
    process: 'both',
    labels: { state: ['pending', 'enqueued', 'dead', 'uncertain'] },
    kept: { as: 'outbox_messages', how: 'max' },
  },
  rollcall_outbox_oldest_seconds: {
    type: 'gauge',
    help: 'How long the oldest message has been due (pending), enqueued without an attempt (untried), or open. The same in every process.',
    process: 'both',
    labels: { state: ['pending', 'untried', 'open'] },
    kept: { as: 'outbox_oldest_seconds', how: 'max' },
  },

  // Queues.
  rollcall_queue_jobs: {
    type: 'gauge',
    help: 'Jobs that Redis holds. The same in every process.',
    process: 'both',
    labels: { queue: queueNames, state: jobStates },
    kept: { as: 'queue_jobs', how: 'max' },
  },
  rollcall_queue_paused: {
    type: 'gauge',
    help: '1 while a queue is paused by an operator.',
    process: 'both',
    labels: { queue: queueNames },
  },
  rollcall_queue_throttled_seconds: {
    type: 'gauge',
    help: 'For how long a queue starts no job, because every one would fail or its rate limit is used up.',
    process: 'both',
    labels: { queue: queueNames },
  },

  rollcall_redis_memory_used_ratio: {
    type: 'gauge',
    help: 'Used part of maxmemory, or of the memory of the host where no limit is set. The same in every process.',
    process: 'both',
    labels: { redis: ['main', 'logs'] },
    kept: { as: 'redis_memory_used', how: 'max' },
  },

  // Logs.
  rollcall_log_spool_bytes: {
    type: 'gauge',
    help: 'Log lines on disk that are not known to be shipped.',
    process: 'both',
    kept: { as: 'spool_bytes', how: 'max' },
  },
  rollcall_log_spool_max_bytes: {
    type: 'gauge',
    help: 'SPOOL_MAX_MIB in bytes; 0 without a delivery stream.',
    process: 'both',
  },
  rollcall_log_oldest_seconds: {
    type: 'gauge',
    help: 'Age of the oldest batch of log lines on disk that is not known to be shipped; 0 if there is none.',
    process: 'both',
  },
  rollcall_log_lines_dropped_total: {
    type: 'counter',
    help: 'Log lines that will never be shipped.',
    process: 'both',
    kept: { as: 'log_lines_dropped', how: 'sum' },
  },

  // HTTP.
  http_server_request_duration_seconds: {
    type: 'histogram',
    help: 'Requests to the API, by the template of their route.',
    process: 'api',
    labels: {
      http_request_method: FROM_CODE,
      http_route: FROM_CODE,
      http_response_status_code: FROM_CODE,
    },
    buckets: REQUEST_SECONDS,
    kept: {
      as: 'http_requests',
      how: 'sum',
      where: isOfClient,
      by: ({ http_response_status_code: status = '' }) => ({ status: `${status.charAt(0)}xx` }),
    },
  },
  rollcall_rate_limit_hits_total: {
    type: 'counter',
    help: 'Requests that a rate limit refused.',
    process: 'api',
    labels: { limit: FROM_CODE },
    kept: { as: 'rate_limit_hits', how: 'sum' },
  },
  rollcall_password_hashes: {
    type: 'gauge',
    help: 'Password hashes that run, or wait for a slot.',
    process: 'api',
    labels: { state: hashStates },
  },
  rollcall_password_hash_slots: {
    type: 'gauge',
    help: 'How many password hashes may run at once.',
    process: 'api',
  },
  rollcall_password_hash_rejections_total: {
    type: 'counter',
    help: 'Requests that were answered 503 because too many password hashes were under way.',
    process: 'api',
    kept: { as: 'password_hash_rejections', how: 'sum' },
  },
  rollcall_password_hash_seconds: {
    type: 'histogram',
    help: 'Time of a password hash, without waiting for a slot.',
    process: 'api',
    buckets: CALL_SECONDS,
  },

  // Jobs.
  rollcall_job_wait_seconds: {
    type: 'histogram',
    help: 'From when a job was added to the start of its first attempt.',
    process: 'worker',
    labels: { queue: queueNames },
    buckets: DELAY_SECONDS,
  },
  rollcall_job_run_seconds: {
    type: 'histogram',
    help: 'Attempts of jobs.',
    process: 'worker',
    labels: { queue: queueNames, result: jobResults },
    buckets: CALL_SECONDS,
  },
  rollcall_job_stalled_total: {
    type: 'counter',
    help: 'Jobs whose worker was killed or blocked.',
    process: 'worker',
    labels: { queue: queueNames },
  },
  rollcall_relayed_messages_total: {
    type: 'counter',
    help: 'Outbox messages that the relay enqueued.',
    process: 'worker',
    kept: { as: 'relayed_messages', how: 'sum' },
  },

  // Mail.
  rollcall_mail_outcomes_total: {
    type: 'counter',
    help: 'Attempts at mails by what became of the message: sent, obsolete, deferred (tried again), dead, or perhaps sent (uncertain).',
    process: 'worker',
    labels: { outcome: mailOutcomes },
    kept: { as: 'mail_outcomes', how: 'sum' },
  },
  rollcall_mail_failures_total: {
    type: 'counter',
    help: 'Failed attempts at mails by their effect, and by the class of the reply of the mail server.',
    process: 'worker',
    labels: { effect: mailFailureEffects, reply: ['4xx', '5xx', 'none'] },
    kept: { as: 'mail_failures', how: 'sum', by: ({ effect = '' }) => ({ effect }) },
  },
  rollcall_mail_delay_seconds: {
    type: 'histogram',
    help: 'From the request for a mail to its acceptance by the mail server.',
    process: 'worker',
    buckets: DELAY_SECONDS,
    kept: { as: 'mail_delay', how: 'sum' },
  },
  rollcall_smtp_send_seconds: {
    type: 'histogram',
    help: 'Time with the mail server, by whether it accepted the mail.',
    process: 'worker',
    labels: { result: ['accepted', 'failed'] },
    buckets: CALL_SECONDS,
  },
  rollcall_smtp_circuit_open: {
    type: 'gauge',
    help: '1 while the mail server is out of reach and mails wait.',
    process: 'worker',
  },
  rollcall_mail_events_total: {
    type: 'counter',
    help: 'Events that the provider reported about mails.',
    process: 'worker',
    labels: { event: ['delivered', 'bounced', 'complained', 'delayed', 'rejected'] },
    kept: { as: 'mail_events', how: 'sum' },
  },

  // Firehose.
  rollcall_firehose_calls_total: {
    type: 'counter',
    help: 'Calls of PutRecordBatch: accepted, in part, or failed as unavailable, misconfigured or invalid.',
    process: 'worker',
    labels: { result: ['accepted', 'partial', 'unavailable', 'misconfigured', 'invalid'] },
    kept: { as: 'firehose_calls', how: 'sum' },
  },
  rollcall_firehose_call_seconds: {
    type: 'histogram',
    help: 'Time of a call of PutRecordBatch, with its retries.',
    process: 'worker',
    buckets: CALL_SECONDS,
  },
  rollcall_firehose_records_total: {
    type: 'counter',
    help: 'Log records by whether Firehose accepted them, is to get them again (refused), or never will (skipped).',
    process: 'worker',
    labels: { result: ['accepted', 'refused', 'skipped'] },
    kept: { as: 'firehose_records', how: 'sum' },
  },
  rollcall_log_lag_seconds: {
    type: 'histogram',
    help: 'From the time of the oldest line of a batch to its acknowledgement by Firehose.',
    process: 'worker',
    buckets: DELAY_SECONDS,
    kept: { as: 'log_lag', how: 'sum' },
  },

  // CloudWatch.
  rollcall_cloudwatch_publications_total: {
    type: 'counter',
    help: 'Minutes whose metrics were published to CloudWatch, or could not be.',
    process: 'worker',
    labels: { result: ['published', 'failed'] },
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/**
 * Every metric of both processes. Names follow Prometheus (base units, `_total`) and, where they have one, OpenTelemetry's
 * semantic conventions; those of the product itself begin with `rollcall_`. No label holds anything that a client chose.
 */
export const metricDefinitions: Readonly<Record<MetricName, MetricDefinition>> = catalogue;

export type MetricName = keyof typeof catalogue;

export type { MetricDefinition };

type Catalogue = typeof catalogue;

/** The names of the metrics of some types. */
export type NamesOf<T extends MetricDefinition['type']> = {
  [N in MetricName]: Catalogue[N]['type'] extends T ? N : never;
}[MetricName];

/** The labels of a metric that has none. */
export type NoLabels = Readonly<Record<string, never>>;

/** The labels of a metric, each of which must be given. */
export type LabelsOf<N extends MetricName> = Catalogue[N] extends {
  readonly labels: infer L extends Readonly<Record<string, readonly string[]>>;
}
  ? { readonly [K in keyof L]: L[K][number] }
  : NoLabels;
