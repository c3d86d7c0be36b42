import { duration } from '../duration.js';
import { redisChecks } from '../health/checks.js';
import { QUEUE_CONSUMER_STALLED } from '../lifecycle/lifecycle.js';
import { workerRoles, type RedisName, type WorkerRole } from '../queues/registry.js';
import type { Facts } from './facts.js';
import {
  anyOf,
  describeCount,
  type Finding,
  findOutbox,
  findPauses,
  findTasks,
  findUse,
  type KindFilter,
  describeProcesses,
  recentlyFailed,
  recentlyLost,
  processName,
  percent,
  problemOf,
  refusalOfConsumers,
  formatUtc,
  worstCheck,
} from './findings.js';

/** `critical`: people do not get their mails, or cannot use the service. `warning`: they will, or something else is lost. */
export type Severity = 'critical' | 'warning';

interface RedStateDefinition {
  readonly title: string;
  readonly severity: Severity;
  /** While it is red, mails do not go out. */
  readonly stopsMail?: true;
  /** The section of docs/runbook.md that says what to do, as the anchor of its heading. */
  readonly section: string;
  /** When it is red, in Markdown. The runbook's table is generated from this. */
  readonly meaning: string;
  readonly find: (facts: Facts) => Finding;
}

/** Log lines on disk for longer are a problem, however few they are. */
const MAX_UNSHIPPED_SECONDS = 900;

/** Share of the size limit of a process's spool folder above which lines may soon be dropped. */
export const SPOOL_NEARLY_FULL = 0.75;

const redisNames = Object.keys(redisChecks) as readonly RedisName[];

const databaseStates = {
  postgres_down: {
    title: 'PostgreSQL is down',
    severity: 'critical',
    stopsMail: true,
    section: 'postgresql-is-down',
    meaning: 'PostgreSQL cannot be reached, or does not answer in time',
    find: ({ checks }) => problemOf(checks['postgres'], (kind) => kind === undefined),
  },
  postgres_refuses: {
    title: 'PostgreSQL refuses us',
    severity: 'critical',
    stopsMail: true,
    section: 'postgresql-refuses-us',
    meaning: 'PostgreSQL answers, and refuses our connections or our statements',
    find: ({ checks }) =>
      problemOf(
        checks['postgres'],
        (kind) => kind === 'refuses_connections' || kind === 'refuses_statements',
      ),
  },
  postgres_refuses_writes: {
    title: 'PostgreSQL refuses writes',
    severity: 'critical',
    stopsMail: true,
    section: 'postgresql-refuses-writes',
    meaning: 'PostgreSQL answers and is read-only, or its disk is full',
    find: ({ checks }) => problemOf(checks['postgres'], (kind) => kind === 'refuses_writes'),
  },
  unsuitable_locale: {
    title: 'The locale of the database is unsuitable',
    severity: 'critical',
    section: 'unsuitable-locale',
    meaning: "PostgreSQL works, and `lower('I')` is not `i` in the database: no process is ready",
    find: ({ checks }) => problemOf(checks['postgres'], (kind) => kind === 'unsuitable_locale'),
  },
  migrations_pending: {
    title: 'Migrations are pending',
    severity: 'warning',
    section: 'a-deployments-migration-waits-or-fails',
    meaning: 'a process runs whose code needs a newer schema',
    find: ({ checks }) =>
      problemOf(checks['migrations'], (kind) => kind === 'migrations_pending') &&
      'the code of a process needs a newer schema',
  },
  rights_missing: {
    title: 'A role in PostgreSQL lacks rights',
    severity: 'warning',
    section: 'a-deployments-migration-waits-or-fails',
    meaning: 'a process runs whose role has not been granted what its code needs',
    find: (facts) => worstCheck(facts, 'rights', (kind) => kind === 'rights_missing'),
  },
} as const satisfies Readonly<Record<string, RedStateDefinition>>;

const redisStates = Object.fromEntries(
  redisNames.flatMap((name) => Object.entries(statesOfRedis(name))),
) as Record<`redis_${'' | 'logs_'}${'down' | 'refuses' | 'full'}`, RedStateDefinition>;

const isOutOfMemory: KindFilter = (kind) => kind === 'out_of_memory';

function statesOfRedis(name: RedisName): Record<string, RedStateDefinition> {
  const check = redisChecks[name];
  const [what, variable] =
    name === 'main' ? ['Redis', 'REDIS_URL'] : ['The Redis of the logs', 'REDIS_URL_LOGS'];
  const effect: Pick<RedStateDefinition, 'severity' | 'stopsMail'> =
    name === 'main' ? { severity: 'critical', stopsMail: true } : { severity: 'warning' };
  const own = (facts: Facts, isMeant: KindFilter): Finding =>
    facts.redisNames.includes(name) ? problemOf(facts.checks[check], isMeant) : null;
  return {
    [`${check}_down`]: {
      title: `${what} is down`,
      ...effect,
      section: 'redis-is-down',
      meaning: `the Redis of \`${variable}\` cannot be reached, or does not answer in time`,
      find: (facts) =>
        own(facts, (kind) => kind !== 'refuses_commands' && kind !== 'out_of_memory'),
    },
    [`${check}_refuses`]: {
      title: `${what} refuses commands`,
      ...effect,
      section: 'redis-refuses-commands',
      meaning: `the Redis of \`${variable}\` answers and does not do what the queues need`,
      find: (facts) =>
        anyOf(
          own(facts, (kind) => kind === 'refuses_commands'),
          // An older worker writes no kind.
          refusalOfConsumers(facts, name, (kind) => kind !== 'out_of_memory'),
        ),
    },
    [`${check}_full`]: {
      title: `${what} is full`,
      ...effect,
      section: 'redis-is-full',
      meaning: `the Redis of \`${variable}\` has no memory left, or so little that a queue takes no more jobs`,
      find: (facts) =>
        anyOf(
          own(facts, isOutOfMemory),
          refusalOfConsumers(facts, name, isOutOfMemory),
          findUse(facts, name),
        ),
    },
  };
}

const workerStates = Object.fromEntries(
  workerRoles.map((role) => [`no_worker_${role}`, stateOfRole(role)]),
) as Record<`no_worker_${WorkerRole}`, RedStateDefinition>;

function stateOfRole(role: WorkerRole): RedStateDefinition {
  return {
    title: `No worker has the role ${role}`,
    ...(role === 'logs' ? { severity: 'warning' } : { severity: 'critical', stopsMail: true }),
    section: 'no-worker-has-a-role',
    meaning: `no live worker has \`${role}\` in \`WORKER_ROLES\`${role === 'logs' ? ', although `FIREHOSE_DELIVERY_STREAM` is set' : ''}`,
    find: ({ processes, neededRoles }) => {
      if (!processes) return undefined;
      if (!neededRoles.includes(role)) return null;
      return processes.live.some(({ roles }) => roles.includes(role))
        ? null
        : 'its work waits until one starts';
    },
  };
}

const processStates = {
  process_lost: {
    title: 'A process vanished',
    severity: 'warning',
    section: 'a-process-restarts-in-a-loop',
    meaning:
      'within the last 15 minutes a process disappeared without shutting down, or lost PostgreSQL',
    find: ({ processes }) =>
      describeProcesses(
        recentlyLost(processes),
        (each) => `${processName(each)}, last seen at ${formatUtc(each.seenAt)}`,
      ),
  },
  process_crashed: {
    title: 'A process crashed',
    severity: 'critical',
    section: 'a-process-restarts-in-a-loop',
    meaning:
      'within the last 15 minutes a running process ended by an uncaught exception; a failed start is not seen',
    find: ({ processes }) =>
      describeProcesses(
        recentlyFailed(processes)?.filter(
          ({ stopReason }) => stopReason !== QUEUE_CONSUMER_STALLED,
        ),
        (each) =>
          `${processName(each)}, at ${formatUtc(each.seenAt)}: ${each.stopReason ?? `exit code ${each.exitCode}`}`,
      ),
  },
  queue_consumer_stalled: {
    title: 'A queue consumer stalled',
    severity: 'warning',
    section: 'a-process-restarts-in-a-loop',
    meaning:
      'within the last 15 minutes a worker took no jobs although some waited, and ended itself',
    find: ({ processes }) =>
      describeProcesses(
        recentlyFailed(processes)?.filter(
          ({ stopReason }) => stopReason === QUEUE_CONSUMER_STALLED,
        ),
        (each) => `${processName(each)}, at ${formatUtc(each.seenAt)}`,
      ),
  },
  clocks_differ: {
    title: 'Clocks differ',
    severity: 'warning',
    section: 'clocks-differ',
    meaning: 'the clock of a live process differs from that of PostgreSQL by more than two seconds',
    find: ({ processes }) =>
      describeProcesses(
        processes?.live.filter(({ health }) => health['clock']?.ok === false),
        (each) => `${processName(each)}: ${each.health['clock']?.problem ?? 'differs'}`,
      ),
  },
} as const satisfies Readonly<Record<string, RedStateDefinition>>;

const mailStates = {
  outbox_not_relayed: {
    title: 'Mails are not relayed',
    severity: 'critical',
    stopsMail: true,
    section: 'the-outbox-grows-old',
    meaning: 'a pending message has been due for more than two minutes',
    find: ({ checks }) => findOutbox(checks['outbox'], 'not_relayed', 'oldest_pending_seconds'),
  },
  mails_not_worked_on: {
    title: 'Mails are not being processed',
    severity: 'critical',
    stopsMail: true,
    section: 'mail-does-not-arrive',
    meaning:
      'a message has been on the queue for more than five minutes, and no mail was attempted',
    find: ({ checks }) => findOutbox(checks['outbox'], 'not_processed', 'oldest_untried_seconds'),
  },
  mail_failing: {
    title: 'All mail is failing',
    severity: 'critical',
    stopsMail: true,
    section: 'mail-does-not-arrive',
    meaning:
      'for ten minutes no mail was sent, and mails to several recipients have failed, or one while the mail server is out of reach or refuses us',
    find: ({ mail }) => mail && (mail.failure ?? null),
  },
  smtp_refuses: {
    title: 'The mail server refuses us',
    severity: 'critical',
    stopsMail: true,
    section: 'mail-does-not-arrive',
    meaning: 'the mail server refused our settings or our account; the check `smtp` of a worker',
    find: (facts) => worstCheck(facts, 'smtp'),
  },
  dead_letters: {
    title: 'Mails were given up',
    severity: 'warning',
    section: 'dead-letters',
    meaning: 'within the last hour a mail became a dead letter, and it still is one',
    find: ({ mail }) => mail && describeCount(mail.newDead, 'given up within the last hour'),
  },
  mails_perhaps_sent: {
    title: 'Mails were perhaps sent',
    severity: 'warning',
    section: 'dead-letters',
    meaning:
      'within the last hour a mail was transmitted for the third time without a reply; it still waits for a decision',
    find: ({ mail }) =>
      mail && describeCount(mail.newUncertain, 'perhaps sent within the last hour'),
  },
} as const satisfies Readonly<Record<string, RedStateDefinition>>;

const queueStates = {
  queue_paused: {
    title: 'A queue has been paused for long',
    severity: 'warning',
    section: 'pause-and-resume-a-queue',
    meaning:
      'an operator paused a queue more than half an hour ago; nothing of it is done until it is resumed',
    find: findPauses,
  },
} as const satisfies Readonly<Record<string, RedStateDefinition>>;

const taskStates = {
  task_failing: {
    title: 'A periodic task fails',
    severity: 'warning',
    section: 'housekeeping',
    meaning:
      'a periodic task failed three times in a row, or none has ended for more than twice its interval although a worker with the role `relay` runs',
    find: findTasks,
  },
} as const satisfies Readonly<Record<string, RedStateDefinition>>;

const logStates = {
  firehose_refuses: {
    title: 'Firehose refuses us',
    severity: 'warning',
    section: 'logs-do-not-reach-firehose',
    meaning: 'Firehose refused our stream, credentials or rights; the check `firehose` of a worker',
    find: (facts) => worstCheck(facts, 'firehose'),
  },
  logs_not_shipped: {
    title: 'Log lines are not shipped',
    severity: 'warning',
    section: 'logs-do-not-reach-firehose',
    meaning:
      'log lines of a process have waited for Firehose for more than 15 minutes, although nobody paused the queue `logs`',
    find: ({ spool, pauses }) =>
      spool && spool.oldestSeconds > MAX_UNSHIPPED_SECONDS && !pauses['logs']
        ? `the oldest for ${duration(spool.oldestSeconds)}`
        : null,
  },
  log_lines_dropped: {
    title: 'Log lines were dropped',
    severity: 'warning',
    section: 'logs-do-not-reach-firehose',
    meaning: 'within the last 15 minutes a process dropped lines that will never be shipped',
    find: ({ spool }) =>
      spool && spool.recentlyDropped > 0
        ? `${spool.recentlyDropped} lines within 15 minutes`
        : null,
  },
  spool_nearly_full: {
    title: 'The log spool is nearly full',
    severity: 'warning',
    section: 'logs-do-not-reach-firehose',
    meaning: 'a process has more than 75 % of `SPOOL_MAX_MIB` waiting on its disk',
    find: ({ spool }) =>
      spool && spool.bytes > SPOOL_NEARLY_FULL * spool.maxBytes
        ? `${percent(spool.bytes / spool.maxBytes)} of its size is used`
        : null,
  },
} as const satisfies Readonly<Record<string, RedStateDefinition>>;

const definitions = {
  ...databaseStates,
  ...redisStates,
  ...workerStates,
  ...mailStates,
  ...processStates,
  ...queueStates,
  ...taskStates,
  ...logStates,
};

export type RedStateName = keyof typeof definitions;

/**
 * Everything that an operator must hear of, most important first. Alerts, the console, `doctor` and the runbook's table
 * are derived from this list.
 */
export const redStates: Readonly<Record<RedStateName, RedStateDefinition>> = definitions;

export const redStateNames = Object.keys(redStates) as readonly RedStateName[];

export const isRedStateName = (text: string): text is RedStateName =>
  Object.hasOwn(redStates, text);
