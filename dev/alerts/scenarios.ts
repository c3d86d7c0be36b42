import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RedStateName } from '../../shared/alerts/red-states.js';
import { schemaVersion } from '../../shared/database/schema-version.js';
import { openJobQueue, type JobQueue } from '../../shared/queues/job-queue.js';
import { connectRedis } from '../../shared/queues/redis-client.js';
import { workerRoles } from '../../shared/queues/registry.js';
import { untilLive } from '../stack/processes/application.js';
import type { AlertsEnvironment } from './environment.js';
import { NOBODY, SILENT } from './inboxes.js';

/** A fault, or several at once, and the alerts that must come of them. */
export interface Scenario {
  readonly states: readonly RedStateName[];
  /** What is done, in words. */
  readonly fault: string;
  cause(environment: AlertsEnvironment): Promise<unknown>;
  mend(environment: AlertsEnvironment): Promise<unknown>;
  /** True where the fault keeps mails from being sent: then they tell of the alert with its end. */
  readonly withoutMail?: boolean;
}

const BOTH = ['main', 'logs'] as const;
/** Where an alert waits for minutes to pass, the rows are made older instead. */
const LONG_AGO = `interval '16 minutes'`;

export const scenarios: readonly Scenario[] = [
  {
    states: ['redis_down', 'redis_logs_down', 'spool_nearly_full', 'log_lines_dropped'],
    fault: 'both Redis are stopped, and the API writes more log lines than its spool takes',
    async cause(environment) {
      for (const name of BOTH) await environment.redis[name].stop();
      await writeLogLines(environment, 6_000);
    },
    async mend({ redis, processes }) {
      for (const name of BOTH) await redis[name].start();
      // What was dropped is told of for a quarter of an hour; a new process has dropped nothing.
      await processes.api.stop();
      await processes.api.start();
    },
  },
  {
    states: ['redis_refuses', 'redis_logs_refuses'],
    fault: 'both Redis refuse writes, as replicas are missing',
    cause: (environment) => setBoth(environment, 'min-replicas-to-write', '1'),
    async mend(environment) {
      await setBoth(environment, 'min-replicas-to-write', '0');
      await finishJobs(environment, 'refused-by-redis');
    },
  },
  {
    states: ['redis_full', 'redis_logs_full'],
    fault: 'both Redis get less memory than they use',
    cause: (environment) => setBoth(environment, 'maxmemory', '1mb'),
    async mend(environment) {
      await setBoth(environment, 'maxmemory', '256mb');
      await finishJobs(environment, 'full-redis');
    },
  },
  {
    states: [...workerRoles.map((role) => `no_worker_${role}` as const), 'mails_not_worked_on'],
    fault: 'the only worker is stopped, and a mail waits on the queue (made older)',
    withoutMail: true,
    async cause(environment) {
      await environment.processes.worker.stop();
      await register(environment, 'untried');
      await untilRow(
        environment,
        `select from outbox where recipient ~ 'untried' and state = 'enqueued'`,
      );
      await environment.sql(
        `update deliveries set started_at = started_at - ${LONG_AGO};
         update outbox set enqueued_at = enqueued_at - ${LONG_AGO} where recipient ~ 'untried'`,
      );
    },
    mend: ({ processes }) => processes.worker.start(),
  },
  {
    states: ['outbox_not_relayed'],
    fault: 'the only worker is stopped, and a mail waits in the outbox (made older)',
    withoutMail: true,
    async cause(environment) {
      await environment.processes.worker.stop();
      await register(environment, 'waiting');
      await untilRow(
        environment,
        `select from outbox where recipient ~ 'waiting' and state = 'enqueued'`,
      );
      await environment.sql(
        `update outbox set state = 'pending', available_at = now() - ${LONG_AGO}, generation = 1
          where recipient ~ 'waiting'`,
      );
    },
    mend: ({ processes }) => processes.worker.start(),
  },
  {
    states: ['mail_failing', 'firehose_refuses', 'migrations_pending', 'queue_paused'],
    fault:
      'the mail server is closed (the mails made older), Firehose denies access, a migration is reverted, the logs queue is paused (made older)',
    withoutMail: true,
    async cause(environment) {
      const { inboxes, sql } = environment;
      inboxes.behaviour.mail = 'down';
      inboxes.behaviour.firehose = 'refuse';
      await register(environment, 'failing');
      await untilRow(
        environment,
        `select from outbox where recipient ~ 'failing' and last_error is not null`,
      );
      await sql(
        `update outbox set available_at = available_at - ${LONG_AGO}, settled_at = settled_at - ${LONG_AGO};
         update deliveries set started_at = started_at - ${LONG_AGO}, finished_at = finished_at - ${LONG_AGO};
         delete from schema_migrations where name = '${schemaVersion}'`,
      );
      await writeLogLines(environment, 50);
      // Firehose has to be asked before its queue is paused.
      await untilRow(
        environment,
        `select from processes where health->'firehose'->>'ok' = 'false'`,
      );
      await pauseQueue(environment);
    },
    async mend(environment) {
      const { inboxes, sql } = environment;
      inboxes.behaviour.mail = 'take';
      inboxes.behaviour.firehose = 'take';
      await sql(`insert into schema_migrations (name) values ('${schemaVersion}')`);
      await resumeQueue(environment);
      await writeLogLines(environment, 50);
    },
  },
  {
    states: ['logs_not_shipped'],
    fault: 'Firehose denies access, and the API is started again with lines on disk (made older)',
    async cause(environment) {
      const { inboxes, processes, spoolDir } = environment;
      inboxes.behaviour.firehose = 'refuse';
      await writeLogLines(environment, 50);
      await untilRow(
        environment,
        `select from processes where health->'firehose'->>'ok' = 'false'`,
      );
      await makeSegmentsOlder(spoolDir);
      await processes.api.stop();
      await processes.api.start();
      await untilLive(environment.api);
    },
    async mend({ inboxes }) {
      inboxes.behaviour.firehose = 'take';
    },
  },
  {
    states: ['smtp_refuses'],
    fault: 'the mail server says that our account is suspended',
    withoutMail: true,
    async cause(environment) {
      environment.inboxes.behaviour.mail = 'refuse';
      await register(environment, 'refused');
    },
    async mend({ inboxes }) {
      inboxes.behaviour.mail = 'take';
    },
  },
  {
    states: [
      'dead_letters',
      'mails_perhaps_sent',
      'process_lost',
      'process_crashed',
      'queue_consumer_stalled',
      'clocks_differ',
      'task_failing',
    ],
    fault:
      'a mail is refused, one never answered, the API is killed (made older), a worker meets a defect; a stalled consumer, a late clock and failed runs of a task are written down by hand',
    async cause(environment) {
      const { processes, sql } = environment;
      await register(environment, NOBODY);
      await register(environment, SILENT);
      await untilRow(
        environment,
        `select from outbox where recipient ~ '^${NOBODY}' and state = 'dead'`,
      );
      await sql(
        `update outbox set state = 'uncertain', given_up_at = now(), last_error = 'perhaps sent', claimed_until = null
          where recipient ~ '^${SILENT}'`,
      );
      await processes.extra.start();
      await untilRow(
        environment,
        `select from processes where roles = '{logs}' and stopped_at is null`,
      );
      await processes.extra.signal('SIGUSR2');
      await processes.api.signal('SIGKILL');
      await sql(
        `update processes set seen_at = seen_at - interval '3 minutes' where service = 'rollcall-api' and stopped_at is null;
         insert into processes (id, service, host, pid, version, stop_reason, exit_code, stopped_at)
         values (gen_random_uuid(), 'rollcall-worker', 'by-hand', 1, '0', 'queue consumer stalled', 1, now());
         insert into processes (id, service, host, pid, version, seen_at, health)
         values (gen_random_uuid(), 'rollcall-api', 'late', 1, '0', now() + interval '1 hour',
                 '{"clock": {"ok": false, "problem": "10 s behind PostgreSQL"}}');
         update task_runs set outcome = 'failed', error = 'no room', result = '{"failed_in_a_row": 3}'
          where task = 'purge-expired'`,
      );
      await processes.api.start();
      await untilLive(environment.api);
    },
    mend: ({ sql }) =>
      sql(
        `update outbox set state = 'settled', outcome = 'discarded', settled_at = now() where state in ('dead', 'uncertain');
         delete from processes where host = 'late';
         update task_runs set outcome = 'completed', error = null, result = '{}' where task = 'purge-expired';
         update processes set seen_at = seen_at - ${LONG_AGO}
          where exit_code = 1 or stopped_at is null and seen_at < now() - interval '2 minutes'`,
      ),
  },
  {
    states: ['postgres_down'],
    fault: 'PostgreSQL is stopped',
    cause: ({ postgres }) => postgres.stop(),
    mend: ({ postgres }) => postgres.start(),
  },
  {
    states: ['postgres_refuses_writes'],
    fault: 'PostgreSQL is made read-only',
    cause: (environment) => setReadOnly(environment, 'on'),
    mend: (environment) => setReadOnly(environment, 'off'),
  },
  {
    states: ['postgres_refuses'],
    fault: 'the database takes no connections, and those that are open are ended',
    cause: (environment) => allowConnections(environment, false),
    mend: (environment) => allowConnections(environment, true),
  },
  {
    states: ['rights_missing'],
    fault: 'all sessions act as a role that may not delete suppressions',
    cause: ({ sql }) =>
      sql(`create role limited;
           grant all on all tables in schema public to limited;
           grant all on all sequences in schema public to limited;
           grant execute on all functions in schema public to limited;
           revoke delete on suppressions from limited;
           alter role session_user set role limited;
           ${endSessions}`),
    mend: ({ sql }) =>
      sql(`set role none;
           alter role session_user reset role;
           drop owned by limited;
           drop role limited;
           ${endSessions}`),
  },
  {
    states: ['unsuitable_locale'],
    fault: 'lower() is replaced by one that knows the rules of Turkish',
    cause: ({ sql }) =>
      sql(`create function public.lower(text) returns text immutable language sql
             as $$ select pg_catalog.lower(replace($1, 'I', 'ı')) $$;
           alter role current_user set search_path = public, pg_catalog;
           ${endSessions}`),
    mend: ({ sql }) =>
      sql(
        `alter role current_user reset search_path; drop function public.lower(text); ${endSessions}`,
      ),
  },
];

/** Settings of a role count for new sessions. */
const endSessions = `select pg_terminate_backend(pid) from pg_stat_activity
                      where application_name like 'rollcall%' and pid <> pg_backend_pid()`;

async function allowConnections({ sql }: AlertsEnvironment, areAllowed: boolean): Promise<void> {
  const elsewhere = 'postgres';
  await sql(`alter database rollcall allow_connections ${areAllowed}`, elsewhere);
  await sql(endSessions, elsewhere);
}

async function setReadOnly({ sql }: AlertsEnvironment, value: 'on' | 'off'): Promise<void> {
  // Not in a transaction.
  await sql(`alter system set default_transaction_read_only = ${value}`);
  await sql('select pg_reload_conf()');
}

async function setBoth({ command }: AlertsEnvironment, name: string, value: string): Promise<void> {
  for (const redis of BOTH) await command(redis, 'config', 'set', name, value);
}

/** What a consumer was refused is over for it when it has finished a job. */
async function finishJobs(environment: AlertsEnvironment, name: string): Promise<void> {
  await register(environment, name);
  await writeLogLines(environment, AT_ONCE);
}

async function pauseQueue({ redis }: AlertsEnvironment): Promise<void> {
  const since = new Date(Date.now() - 31 * 60_000);
  await withLogQueue(redis.logs.url, (queue) =>
    queue.pause({ reason: 'the stream moves', by: 'the script', since }),
  );
}

const resumeQueue = ({ redis }: AlertsEnvironment): Promise<void> =>
  withLogQueue(redis.logs.url, (queue) => queue.resume());

async function withLogQueue(
  url: string,
  act: (queue: JobQueue<'logs'>) => Promise<unknown>,
): Promise<void> {
  const client = await connectRedis(url);
  const queue = openJobQueue('logs', client, () => undefined);
  try {
    await act(queue);
  } finally {
    await queue.close();
    client.disconnect();
  }
}

async function register({ api }: AlertsEnvironment, name: string): Promise<void> {
  const answer = await fetch(`${api}/auth/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      email: `${name}@people.test`,
      name,
      password: `an alert is caused by ${name}`,
    }),
  });
  await answer.arrayBuffer();
  if (answer.status !== 202) throw new Error(`the registration was answered ${answer.status}`);
}

const AT_ONCE = 20;

/** Each request is a line. */
async function writeLogLines({ api }: AlertsEnvironment, count: number): Promise<void> {
  const path = `/${'a-long-path-'.repeat(60)}`;
  for (let written = 0; written < count; written += AT_ONCE)
    await Promise.all(
      Array.from({ length: AT_ONCE }, () =>
        fetch(`${api}${path}`).then((answer) => answer.arrayBuffer()),
      ),
    );
}

/** The process that takes them over sees when they were written. */
async function makeSegmentsOlder(spoolDir: string): Promise<void> {
  const before = new Date(Date.now() - 16 * 60_000);
  for (const name of await readdir(spoolDir, { recursive: true }))
    if (name.endsWith('.ndjson')) await utimes(join(spoolDir, name), before, before);
}

async function untilRow({ sql }: AlertsEnvironment, query: string): Promise<void> {
  const deadline = Date.now() + 90_000;
  while ((await sql(query)).length === 0) {
    if (Date.now() > deadline) throw new Error(`in vain: ${query}`);
    await delay(200);
  }
}
