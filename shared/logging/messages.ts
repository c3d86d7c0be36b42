/** A message's row in the runbook's table. */
interface LogMessageFacts {
  readonly level: string;
  /** Which process logs it. */
  readonly process: string;
  /** What it means to an operator, in Markdown; links lead to the runbook's sections. */
  readonly meaning: string;
}

/**
 * Every message that is logged. A logger takes no other: what varies goes into fields. Messages are stable, since alerts
 * and dashboards match them; the runbook's table is generated from this list.
 */
export const logMessages = {
  'server listening': {
    level: 'info',
    process: 'API',
    meaning:
      'the API accepts requests; `labels.settings` names the variables that are not as by default, with the values of those that have a default; `event.action` is `sys_startup`',
  },
  'unknown environment variables': {
    level: 'warn',
    process: 'both',
    meaning:
      'at the start: `labels.variables` are set, and read by nothing; each with the variable that was probably meant',
  },
  'traces lost': {
    level: 'warn',
    process: 'API; worker, stdout only',
    meaning:
      'the collector of `OTEL_EXPORTER_OTLP_ENDPOINT` did not take spans; `labels.lost_spans` counts them since the start. Nothing else is affected: [Traces](#traces)',
  },
  'metrics not published to CloudWatch': {
    level: 'warn',
    process: 'worker',
    meaning:
      'CloudWatch did not take them, or they could not be read; until then AWS has no values for scaling and alarms: [Metrics in CloudWatch](#metrics-in-cloudwatch)',
  },
  'worker started': {
    level: 'info',
    process: 'worker',
    meaning:
      'the worker runs; `labels.roles` says what it does, `labels.settings` what is not as by default; `event.action` is `sys_startup`',
  },
  request: {
    level: 'info, warn, error',
    process: 'API',
    meaning:
      'one line for each answered request: `error` for 500, `warn` for 501 and above, else `info`',
  },
  'request aborted': {
    level: 'warn, error',
    process: 'both',
    meaning: 'the client closed the connection before the answer was complete',
  },
  'request failed': {
    level: 'error',
    process: 'both',
    meaning: 'a defect, or code ahead of the schema',
  },
  'service unavailable': {
    level: 'warn',
    process: 'both',
    meaning:
      'no PostgreSQL; on the API also: password checks are queued to the limit, or the client has used its share',
  },
  'malformed request rejected': {
    level: 'info',
    process: 'both',
    meaning:
      "invalid or too slow HTTP; on the API, an error in a request body is logged on that request's own line",
  },
  'security event': {
    level: 'info, warn',
    process: 'API, worker, command line',
    meaning: "a row of `audit_events`; `event.action` is the name in OWASP's vocabulary",
  },
  'enqueue after commit failed; relay will retry': {
    level: 'warn',
    process: 'API',
    meaning: '[Redis is down](#redis-is-down); no mail is lost',
  },
  'Redis connection error': {
    level: 'warn',
    process: 'API; worker, stdout only',
    meaning: '[Redis is down](#redis-is-down)',
  },
  'queue consumer Redis error': {
    level: 'warn',
    process: 'worker',
    meaning: '[Redis is down](#redis-is-down), or [full](#redis-is-full)',
  },
  'alert raised': {
    level: 'error',
    process: 'both',
    meaning:
      '`labels.alert`, and what was found: [Alerts](#alerts). Once, by the process that found it first',
  },
  'alert cleared': {
    level: 'info',
    process: 'both',
    meaning: '`labels.alert`: [Alerts](#alerts)',
  },
  'alert notice sent': {
    level: 'info',
    process: 'both',
    meaning: '`labels.channel` is `mail` or `webhook`: [Alerts](#alerts)',
  },
  'alert notice failed; will retry': {
    level: 'warn',
    process: 'both',
    meaning: '`labels.channel` did not take the notice: [Alerts](#alerts)',
  },
  'alerts not recorded': {
    level: 'warn',
    process: 'both',
    meaning:
      'PostgreSQL did not take them; each process sends notices of what it finds itself: [Alerts](#alerts)',
  },
  'heartbeat failed': {
    level: 'warn',
    process: 'both',
    meaning: '`HEARTBEAT_URL` did not answer with 2xx: [Alerts](#alerts)',
  },
  'job completed': {
    level: 'info; debug for logs',
    process: 'worker',
    meaning: '`labels.result`: `sent`, `obsolete`, `already`, `shipped`',
  },
  'job failed; will retry': {
    level: 'warn',
    process: 'worker',
    meaning: 'one attempt failed; the next follows with back-off',
  },
  'job failed permanently': {
    level: 'error',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive), [logs](#logs-do-not-reach-firehose)',
  },
  'stalled job failed': {
    level: 'error',
    process: 'worker',
    meaning: 'its workers died too often; the sweep decides what happens to the message',
  },
  'stalled job recovered': {
    level: 'warn',
    process: 'worker',
    meaning: 'a worker was killed or blocked; another has the job',
  },
  'job delayed': {
    level: 'info',
    process: 'worker',
    meaning:
      '`error.message` says why, such as another worker holding the claim or the mail server taking no further connections. It runs again soon',
  },
  'drain started': {
    level: 'info',
    process: 'worker',
    meaning:
      'SIGUSR2: the instance is about to be terminated. The worker takes no more jobs and goes on answering over HTTP',
  },
  'drain completed': {
    level: 'info',
    process: 'worker',
    meaning: 'no job is in flight; the process may be stopped',
  },
  'drain failed': {
    level: 'error',
    process: 'worker',
    meaning: 'a consumer did not shut down cleanly; its jobs will be recovered as stalled',
  },
  'health lines not written': {
    level: 'warn',
    process: 'API',
    meaning:
      '`HEALTHD_DIR` cannot be written to: Elastic Beanstalk sees no requests of this instance. Lines are dropped',
  },
  'old health lines not removed': {
    level: 'warn',
    process: 'API',
    meaning: 'files of earlier hours are left in `HEALTHD_DIR`; tried again in the next hour',
  },
  'job returned to queue': {
    level: 'info',
    process: 'worker',
    meaning: 'this worker is stopping; another takes the job',
  },
  'queue throttled': {
    level: 'warn',
    process: 'worker',
    meaning: 'no job of the queue is started for a time; `error.message` says why',
  },
  'queue still throttled': {
    level: 'debug',
    process: 'worker',
    meaning: 'a job arrived while the queue is throttled; it waits',
  },
  'mail queue full; messages wait in the outbox': {
    level: 'warn',
    process: 'worker',
    meaning: 'backpressure: [Redis is full](#redis-is-full)',
  },
  'mail queue accepts jobs again': {
    level: 'info',
    process: 'worker',
    meaning: '[Redis is full](#redis-is-full)',
  },
  'Redis out of memory; consumer paused': {
    level: 'error',
    process: 'worker',
    meaning: '[Redis is full](#redis-is-full)',
  },
  'Redis rejects commands; consumer paused': {
    level: 'error',
    process: 'worker',
    meaning:
      '`event.reason` is the error that Redis gave: [Redis refuses commands](#redis-refuses-commands)',
  },
  'Redis misconfigured': {
    level: 'warn, error',
    process: 'both, once at their start',
    meaning: '`event.reason` says what to correct',
  },
  'queue consumer stalled': {
    level: 'fatal',
    process: 'worker',
    meaning:
      'it takes no jobs although some wait, and the process ends with 1 so that its supervisor restarts it ([a loop](#a-process-restarts-in-a-loop))',
  },
  'live update failed': {
    level: 'warn',
    process: 'API',
    meaning:
      'pages of the console that show `labels.page` are outdated, and say so; once until it works again',
  },
  'readiness check failed': { level: 'warn', process: 'both', meaning: '`labels.check`, and why' },
  'readiness check recovered': {
    level: 'info',
    process: 'both',
    meaning: '`labels.check`',
  },
  'presence not recorded': {
    level: 'warn',
    process: 'both',
    meaning:
      "PostgreSQL did not take the process's report about itself; once per outage. Counts are kept for the next minute: [PostgreSQL](#postgresql-is-down)",
  },
  'presence recorded again': {
    level: 'info',
    process: 'both',
    meaning: '[PostgreSQL](#postgresql-is-down)',
  },
  'clock skew detected': {
    level: 'warn',
    process: 'both',
    meaning:
      "this host's clock differs from PostgreSQL's by more than two seconds, as `event.reason` says; once an hour: [Clocks](#clocks-differ)",
  },
  'console output captured': {
    level: 'by what it was',
    process: 'both',
    meaning: 'a library printed it; the text is in `error.message`',
  },
  'Node.js warning': {
    level: 'by what it was',
    process: 'both',
    meaning: 'a warning of the runtime, in `err`',
  },
  'SMTP server unreachable; mails wait': {
    level: 'warn',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive); once per worker and outage',
  },
  'SMTP server recovered': {
    level: 'info',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive); once per worker and outage',
  },
  'recovery check failed': {
    level: 'warn',
    process: 'worker',
    meaning:
      'PostgreSQL or Redis did not say whether another worker has sent a mail (`smtp`), or shipped a batch of log lines (`firehose`; on stdout only), since this one met a fault of the same (`labels.check`); it asks again',
  },
  'SMTP connections reduced': {
    level: 'warn',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive); `labels.connections`',
  },
  'SMTP connections restored': {
    level: 'info',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive); `labels.connections`',
  },
  'SMTP server rejects all mail; messages reopened': {
    level: 'warn',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive); `event.reason` is the answer',
  },
  'claim renewal failed': {
    level: 'warn',
    process: 'worker',
    meaning: '[PostgreSQL](#postgresql-is-down)',
  },
  'SMTP connection error': {
    level: 'warn',
    process: 'worker',
    meaning: "the job's own line says what happens to the mail",
  },
  'outbox message changed during delivery': {
    level: 'warn',
    process: 'worker',
    meaning: 'another copy of the job was faster: a mail may have been sent twice',
  },
  'failed attempt not recorded': {
    level: 'warn',
    process: 'worker',
    meaning: '[PostgreSQL](#postgresql-is-down)',
  },
  'relay failed; messages wait in the outbox': {
    level: 'warn',
    process: 'worker',
    meaning: '[The outbox](#the-outbox-grows-old)',
  },
  'relay recovered': {
    level: 'info',
    process: 'worker',
    meaning: '[The outbox](#the-outbox-grows-old)',
  },
  'Redis data loss detected; sweeping all messages': {
    level: 'warn',
    process: 'worker',
    meaning: '[Redis lost its data](#redis-lost-its-data)',
  },
  'sweep repaired messages without a job': {
    level: 'warn',
    process: 'worker',
    meaning: 'they are pending again, or dead; counts are in `labels`',
  },
  'job corrupt; re-enqueueing': {
    level: 'warn',
    process: 'worker',
    meaning:
      'its data in Redis cannot be read, or belongs to another message; it was removed, and the message gets a new job',
  },
  'job failed but message open; re-enqueueing': {
    level: 'warn',
    process: 'worker',
    meaning:
      'its workers died too often, or could not read it; `event.reason` says why. Ten times at most, then the message is `dead`',
  },
  'corrupt queue keys removed': {
    level: 'error',
    process: 'worker',
    meaning:
      'a key of the queue (`labels.keys`) was overwritten; its jobs are recreated. Find out which program did it',
  },
  'corrupt log queue keys removed': {
    level: 'error',
    process: 'worker',
    meaning:
      'the same for the queue of the log batches and for `{logs}:shipped`: lines in flight may be shipped twice',
  },
  'log queue check failed': {
    level: 'warn',
    process: 'worker',
    meaning: 'the Redis of the log batches did not answer; mails do not wait for it',
  },
  'sweep failed': {
    level: 'warn',
    process: 'worker',
    meaning:
      'Redis or PostgreSQL did not answer; it runs again in 30 seconds, or in 5 if it is a sweep of all messages',
  },
  'job completed but message open; redelivering': {
    level: 'warn',
    process: 'worker',
    meaning: '[Redis lost its data](#redis-lost-its-data)',
  },
  'stdout write failed': {
    level: 'warn',
    process: 'both',
    meaning:
      'the reader of stdout has ended or stopped reading (`ESTALLED`: one MiB waits), or the disk under it is full (`error.code`); reported on stderr too. `labels.dropped_lines` counts the lines that stdout lacks. The process continues; its lines go to the spool alone, or nowhere if there is none. It retries every ten seconds; a pipe whose reader has ended for good needs a restart of the process',
  },
  'stdout recovered': {
    level: 'info',
    process: 'both',
    meaning: 'stdout takes lines again after `stdout write failed`',
  },
  'log lines dropped': {
    level: 'warn',
    process: 'both',
    meaning: 'a gap in the shipped logs: [logs](#logs-do-not-reach-firehose)',
  },
  'spool write failed': {
    level: 'warn',
    process: 'both, stdout only',
    meaning: 'the disk: [logs](#logs-do-not-reach-firehose)',
  },
  'spool folder lost': {
    level: 'warn',
    process: 'both, stdout only',
    meaning:
      'the process was blocked for a minute and another ships its lines, or the folder was deleted',
  },
  'spool taken over': {
    level: 'info',
    process: 'both',
    meaning: 'this process ships the lines that another left',
  },
  'spool takeover failed': {
    level: 'warn',
    process: 'both, stdout only',
    meaning: '[Logs](#logs-do-not-reach-firehose)',
  },
  'spool segment removal failed': {
    level: 'warn',
    process: 'both, stdout only',
    meaning: 'the disk; the next process finds its receipt and removes it',
  },
  'accepted records not taken out of the batch': {
    level: 'warn',
    process: 'worker, stdout only',
    meaning: '[Redis is full](#redis-is-full), or away: some lines are shipped twice',
  },
  'receipt write failed; batch may be shipped twice': {
    level: 'warn',
    process: 'worker, stdout only',
    meaning: '[Redis is full](#redis-is-full), or away',
  },
  'log record skipped': {
    level: 'error',
    process: 'worker, stdout only',
    meaning: '[Logs](#logs-do-not-reach-firehose)',
  },
  'mail event': {
    level: 'info',
    process: 'worker',
    meaning: 'the provider reported an event of a mail; `labels.result`: `recorded`, `again`',
  },
  'mail event for unknown message': {
    level: 'warn',
    process: 'worker',
    meaning:
      'counted since the start in `labels.events_since_start`, not stored; at most once a minute',
  },
  'SQS message rejected': {
    level: 'warn',
    process: 'worker',
    meaning: '[Mail events](#mail-events-do-not-arrive); `event.reason` is the code',
  },
  'SNS subscription message ignored': {
    level: 'warn',
    process: 'worker',
    meaning: 'the queue was subscribed to a topic, or unsubscribed',
  },
  'task completed': {
    level: 'info',
    process: 'worker',
    meaning:
      '`labels.task`, and for each count a field such as `labels.sessions`: [Housekeeping](#housekeeping)',
  },
  'bulk action failed; will retry': {
    level: 'error',
    process: 'API',
    meaning:
      'a batch of [dead letters](#dead-letters) was not redriven or discarded; a defect. `labels.bulk_action` is tried again a minute later, others go on meanwhile',
  },
  'task run not recorded': {
    level: 'warn',
    process: 'worker',
    meaning:
      '`labels.task` ran, but the [schedule](#the-schedule) does not show it; the error says why',
  },
  'requested tasks not read': {
    level: 'warn',
    process: 'worker',
    meaning: 'a task that an operator asked for has to wait; the error says why',
  },
  'task failed; will retry': {
    level: 'warn',
    process: 'worker',
    meaning: '`labels.task`: [Housekeeping](#housekeeping)',
  },
  'shutdown started': {
    level: 'info',
    process: 'both',
    meaning: '[A process restarts in a loop](#a-process-restarts-in-a-loop)',
  },
  'shutdown deadline exceeded': {
    level: 'warn',
    process: 'both',
    meaning: '[A process restarts in a loop](#a-process-restarts-in-a-loop)',
  },
  'resource release failed': {
    level: 'error',
    process: 'both',
    meaning: '[A process restarts in a loop](#a-process-restarts-in-a-loop)',
  },
  'uncaught exception': {
    level: 'fatal',
    process: 'both',
    meaning: '[A process restarts in a loop](#a-process-restarts-in-a-loop)',
  },
  'API failed to start': {
    level: 'fatal',
    process: 'API',
    meaning: '[A process restarts in a loop](#a-process-restarts-in-a-loop)',
  },
  'worker failed to start': {
    level: 'fatal',
    process: 'worker',
    meaning: '[A process restarts in a loop](#a-process-restarts-in-a-loop)',
  },
  'receipt lookup failed; batch may be shipped twice': {
    level: 'warn',
    process: 'worker, stdout only',
    meaning: '[Redis is full](#redis-is-full), or away',
  },
} as const satisfies Record<string, LogMessageFacts>;

/** A message that is logged. */
export type LogMessage = keyof typeof logMessages;
