/** When each check of the doctor passes, in Markdown. The runbook's table is generated from this list. */
export const doctorChecks = {
  configuration:
    'the environment is complete for the API or for the worker; names what is set under almost the name of a variable',
  postgres:
    'PostgreSQL answers, writes a row and lets a temporary table grow, both rolled back, and its locale suits: [down](#postgresql-is-down), [refuses us](#postgresql-refuses-us), [refuses writes](#postgresql-refuses-writes), [unsuitable locale](#unsuitable-locale)',
  'time-outs':
    '`statement_timeout` took effect; shown only if it did not: [connection poolers](#connection-poolers)',
  migrations: 'none is pending',
  ids: 'each table has used less than 80 % of its ids; shown only from half of them on: [ids](#ids-run-out)',
  mail: 'a mail was sent within ten minutes, or not all mail has failed for longer; shown only if it fails: [mail](#mail-does-not-arrive)',
  outbox: 'messages are relayed and processed: [the outbox](#the-outbox-grows-old)',
  processes:
    'a live worker has each role, no process has vanished or crashed within 15 minutes, no periodic task fails, and no process reports a problem, such as with the mail server, or log lines that are not shipped: [alerts](#alerts)',
  queues: 'no queue is [paused by an operator](#pause-and-resume-a-queue); shown only if one is',
  'dead letters': 'no mail was given up, and none is perhaps sent: [dead letters](#dead-letters)',
  redis:
    'the Redis of `REDIS_URL` answers, writes, has room and is set up to hold queues: [refuses commands](#redis-refuses-commands), [full](#redis-is-full)',
  'redis (logs)': 'the same for the Redis of `REDIS_URL_LOGS`, if that is a different Redis',
  'log spool':
    "with `FIREHOSE_DELIVERY_STREAM`: a file can be written to this host's spool, which is less than 75 % full: [logs](#logs-do-not-reach-firehose)",
  clocks:
    'the clocks of this host, PostgreSQL and Redis differ by at most two seconds, and so do those of the live processes from PostgreSQL: [clocks](#clocks-differ)',
} as const satisfies Readonly<Record<string, string>>;

export type DoctorCheck = keyof typeof doctorChecks;

/** The result of one check. */
export interface DoctorFinding {
  readonly check: DoctorCheck;
  readonly ok: boolean;
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

export const mib = (bytes: number): number => Math.round(bytes / 1_048_576);
