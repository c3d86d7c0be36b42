/** Where a message stands in the runbook's table. */
interface LogMessageFacts {
  readonly level: string;
  /** Which process logs it. */
  readonly process: string;
  /** What it tells an operator, in Markdown; links lead to the runbook's sections. */
  readonly meaning: string;
}

/**
 * Every message that is logged. A logger takes no other: what varies goes into fields. Messages are stable, since alerts
 * and dashboards match them; the runbook's table is generated from this list.
 */
export const logMessages = {
  'server listening': {
    level: 'info',
    process: 'API, worker',
    meaning: 'it is up; `event.action` is `sys_startup`',
  },
  'worker started': {
    level: 'info',
    process: 'API, worker',
    meaning: 'it is up; `event.action` is `sys_startup`',
  },
  request: {
    level: 'info, warn, error',
    process: 'API; aborted: both',
    meaning:
      'one line for each request: `error` for 500, `warn` above and for aborted ones; the worker tells only of those',
  },
  'request aborted': {
    level: 'info, warn, error',
    process: 'API; aborted: both',
    meaning:
      'one line for each request: `error` for 500, `warn` above and for aborted ones; the worker tells only of those',
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
      'no PostgreSQL; on the API also: the queue in front of bcrypt is full, or the client has its share of it',
  },
  'malformed request rejected': {
    level: 'info',
    process: 'both',
    meaning: 'broken or too slow HTTP',
  },
  'security event': {
    level: 'info, warn',
    process: 'API, command line',
    meaning: "a row of `audit_events`; `event.action` says which, in OWASP's words",
  },
  'enqueue after commit failed; relay will retry': {
    level: 'warn',
    process: 'API',
    meaning: '[Redis](#redis-is-down); no mail is lost',
  },
  'Redis connection error': { level: 'warn', process: 'both', meaning: '[Redis](#redis-is-down)' },
  'queue consumer Redis error': {
    level: 'warn',
    process: 'worker',
    meaning: '[Redis](#redis-is-down), [full](#redis-is-full)',
  },
  'job completed': {
    level: 'info; debug for logs',
    process: 'worker',
    meaning: '`labels.result`: `sent`, `obsolete`, `already`, `shipped`',
  },
  'job failed; will retry': { level: 'warn', process: 'worker', meaning: 'with a growing pause' },
  'job failed permanently': {
    level: 'error',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive), [logs](#logs-do-not-reach-firehose)',
  },
  'stalled job failed': {
    level: 'error',
    process: 'worker',
    meaning: 'its worker died of it too often; the sweep decides',
  },
  'stalled job recovered': {
    level: 'warn',
    process: 'worker',
    meaning: 'a worker was killed or stood still; another has the job',
  },
  'job delayed': {
    level: 'info',
    process: 'worker',
    meaning: 'another worker has it; this one is stopping',
  },
  'job returned to queue': {
    level: 'info',
    process: 'worker',
    meaning: 'another worker has it; this one is stopping',
  },
  'queue rate-limited': {
    level: 'warn',
    process: 'worker',
    meaning: 'the whole queue rests; `error.message` says why',
  },
  'queue paused': { level: 'debug', process: 'worker', meaning: 'a job came while it rests' },
  'mail queue full; messages wait in the outbox': {
    level: 'warn',
    process: 'worker',
    meaning: '[Redis is full](#redis-is-full)',
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
    meaning: "`event.reason` is Redis's word: [Redis refuses commands](#redis-refuses-commands)",
  },
  'Redis misconfigured': {
    level: 'warn, error',
    process: 'both, once at their start',
    meaning: '`event.reason` says what to mend',
  },
  'queue consumer stalled': {
    level: 'fatal',
    process: 'worker',
    meaning:
      'it takes no jobs although some wait, and ends with 1: its supervisor must start it again ([a loop](#a-process-restarts-in-a-loop))',
  },
  'readiness check failed': { level: 'warn', process: 'both', meaning: '`labels.check`, and why' },
  'readiness check recovered': {
    level: 'info',
    process: 'both',
    meaning: '`labels.check`, and why',
  },
  'console output captured': {
    level: 'by what it was',
    process: 'both',
    meaning: '`error.message` or `err` has it',
  },
  'Node.js warning': {
    level: 'by what it was',
    process: 'both',
    meaning: '`error.message` or `err` has it',
  },
  'SMTP server unreachable; mails wait': {
    level: 'warn',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive); once each per worker and outage',
  },
  'SMTP server recovered': {
    level: 'info',
    process: 'worker',
    meaning: '[Mail](#mail-does-not-arrive); once each per worker and outage',
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
    meaning: "the job's own line says what becomes of the mail",
  },
  'outbox message changed during delivery': {
    level: 'warn',
    process: 'worker',
    meaning: 'another copy of the job was quicker: a mail may have gone out twice',
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
    meaning: 'it has put them back or given them up; counts are in `labels`',
  },
  'job corrupt; re-enqueueing': {
    level: 'warn',
    process: 'worker',
    meaning: 'what Redis held of it cannot be read, or belongs to another message; it was removed',
  },
  'job failed but message open; re-enqueueing': {
    level: 'warn',
    process: 'worker',
    meaning:
      'its worker died of it too often, or could not read it; `event.reason` has why. Ten times at most, then the message is `dead`',
  },
  'corrupt queue keys removed': {
    level: 'error',
    process: 'worker',
    meaning:
      'somebody has written to a key of the queue (`labels.keys`); the jobs in it are made again. Find out who',
  },
  'corrupt log queue keys removed': {
    level: 'error',
    process: 'worker',
    meaning:
      'the same for the queue of the log batches and for `{logs}:shipped`: lines that were on their way may be shipped again',
  },
  'log queue check failed': {
    level: 'warn',
    process: 'worker',
    meaning: 'their Redis did not answer; mails do not wait for it',
  },
  'sweep failed': {
    level: 'warn',
    process: 'worker',
    meaning: 'Redis or PostgreSQL did not answer',
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
      'whoever reads stdout has ended or has stopped reading (`ESTALLED`: one MiB waits for it), or the disk under it is full (`error.code`); told on stderr too. `labels.dropped_lines` counts what stdout has not got. The process goes on, and its lines go by the spool alone, without one nowhere. Writing is tried every ten seconds; a pipe whose reader is gone for good needs a restart of the process',
  },
  'stdout recovered': {
    level: 'info',
    process: 'both',
    meaning:
      'whoever reads stdout has ended or has stopped reading (`ESTALLED`: one MiB waits for it), or the disk under it is full (`error.code`); told on stderr too. `labels.dropped_lines` counts what stdout has not got. The process goes on, and its lines go by the spool alone, without one nowhere. Writing is tried every ten seconds; a pipe whose reader is gone for good needs a restart of the process',
  },
  'log lines dropped': {
    level: 'warn',
    process: 'both',
    meaning: 'a gap in what is shipped: [logs](#logs-do-not-reach-firehose)',
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
      'the process stood still for a minute and another ships its lines, or somebody deleted them',
  },
  'spool taken over': {
    level: 'info',
    process: 'both',
    meaning: 'lines that a process left are shipped by this one',
  },
  'spool takeover failed': {
    level: 'warn',
    process: 'both, stdout only',
    meaning: '[Logs](#logs-do-not-reach-firehose)',
  },
  'spool segment removal failed': {
    level: 'warn',
    process: 'both, stdout only',
    meaning: 'the disk; the next process looks for its receipt and removes it',
  },
  'receipt write failed; batch may be shipped twice': {
    level: 'warn',
    process: 'worker, stdout only',
    meaning: '[Redis is full](#redis-is-full), or away',
  },
  'log record skipped': {
    level: 'error',
    process: 'worker',
    meaning: '[Logs](#logs-do-not-reach-firehose)',
  },
  'mail event': {
    level: 'info',
    process: 'worker',
    meaning: 'the provider has told about a mail; `labels.result`: `recorded`, `again`',
  },
  'mail event for unknown message': {
    level: 'warn',
    process: 'worker',
    meaning:
      'counted since the start in `labels.events_since_start`, nothing is kept of them; at most once a minute',
  },
  'SQS message rejected': {
    level: 'warn',
    process: 'worker',
    meaning: '[Mail events](#mail-events-do-not-arrive); `event.reason` is the code',
  },
  'SNS subscription message ignored': {
    level: 'warn',
    process: 'worker',
    meaning: 'somebody has subscribed the queue to a topic, or unsubscribed it',
  },
  'task completed': {
    level: 'info',
    process: 'worker',
    meaning:
      '`labels.task`, and for each count a field such as `labels.sessions`: [Housekeeping](#housekeeping)',
  },
  'task failed; will retry': {
    level: 'warn',
    process: 'worker',
    meaning:
      '`labels.task`, and for each count a field such as `labels.sessions`: [Housekeeping](#housekeeping)',
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
    process: 'both, worker',
    meaning: '[A process restarts in a loop](#a-process-restarts-in-a-loop)',
  },
  'worker failed to start': {
    level: 'fatal',
    process: 'both, worker',
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
