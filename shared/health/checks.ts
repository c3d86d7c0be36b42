import {
  queueNames,
  queueRegistry,
  type QueueName,
  type RedisName,
  type RefusalCheck,
} from '../queues/registry.js';

/** Problems that programs tell apart. What was not reached, or did not answer, has no kind. */
export type ProblemKind =
  | 'refuses_connections'
  | 'refuses_statements'
  | 'refuses_writes'
  | 'refuses_commands'
  | 'out_of_memory'
  | 'unsuitable_locale'
  | 'migrations_pending'
  | 'rights_missing'
  | 'not_relayed'
  | 'not_processed'
  | 'queue_paused';

/** What one check found; numbers are measurements, such as ages in seconds. */
export interface CheckResult {
  readonly ok: boolean;
  /** In words for an operator. No program may depend on them: `kind` is for programs. */
  readonly problem?: string | undefined;
  readonly kind?: ProblemKind | undefined;
  readonly [measure: string]: number | boolean | string | undefined;
}

/** Checks one dependency of the process. A rejection counts as not ok. */
export type Check = () => Promise<CheckResult>;

/** What the runbook says about a check, in Markdown: the problems that it reports, with links to the runbook's sections. */
type CheckMeanings = Readonly<Record<string, string>>;

/** The readiness checks of both processes. */
const commonMeanings = {
  postgres:
    "`postgres cannot be reached`, with the code of the error, such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`: [PostgreSQL is down](#postgresql-is-down). `postgres did not answer in time` (2 s). `postgres refuses writes`: [it is read-only or its disk is full](#postgresql-refuses-writes). `postgres refuses connections: …`, `postgres refuses statements: …`, with the SQLSTATE: [PostgreSQL refuses us](#postgresql-refuses-us). `postgres is starting or shutting down: …`: wait. `postgres has a locale in which lower('I') is not 'i'`: [unsuitable locale](#unsuitable-locale)",
  redis:
    '`redis cannot be reached`, with the code of the error, `redis did not answer in time`: the Redis of `REDIS_URL`. `redis refuses commands: …`, `redis is a cluster: …`: [Redis refuses commands](#redis-refuses-commands)',
  redis_logs: 'the same for the Redis of `REDIS_URL_LOGS`, if that is a different Redis',
  migrations: '`migrations are pending`: the newest one that the code needs has not run',
  rights:
    '`the role in PostgreSQL lacks …`: what it has not been granted. Run the [grants](#a-deployments-migration-waits-or-fails) again; the process need not be restarted',
  outbox:
    '`pending messages are not relayed`: the oldest one has been due for more than 120 s. `enqueued messages are not being processed`: one has been on the queue for more than 300 s without an attempt, and no attempt at any mail began in that time, so no worker with the role `mail` is working. An outage of the mail server does not cause this: attempts go on. `the queue mail was paused by an operator`: the same, and [this was intended](#pause-and-resume-a-queue). `pending`, `oldest_pending_seconds`, `oldest_untried_seconds` and `oldest_open_seconds` are always shown',
} as const satisfies CheckMeanings;

export type CommonCheck = keyof typeof commonMeanings;

/** The check that probes each Redis. */
export const redisChecks = {
  main: 'redis',
  logs: 'redis_logs',
} as const satisfies Record<RedisName, CommonCheck>;

/** The readiness checks of dependencies that refuse to work until an operator acts; of the worker. */
const dependencyMeanings = {
  smtp: "the mail server's answer when it refused our settings; clears when this worker has sent a mail, or soon after another has",
  firehose:
    "Firehose's answer when it refused our settings; clears when this worker has shipped a batch, or two minutes after it was last refused if another has since",
} as const satisfies CheckMeanings;

const refusalMeaning = (queue: QueueName): string => {
  const [relay, taken] =
    queue === 'mail'
      ? [', or the relay three times in a row,', ', when the relay may add jobs again']
      : ['', ''];
  return `the consumer of the queue \`${queue}\`${relay} was refused. \`Redis has no memory left\`: [Redis is full](#redis-is-full). \`Redis refuses commands: …\`, with the error that Redis gave: [Redis refuses commands](#redis-refuses-commands). Clears when a job of this queue completes${taken}, or two minutes after the consumer's last refusal`;
};

const refusalMeanings = Object.fromEntries(
  queueNames.map((queue) => [queueRegistry[queue].refusalCheck, refusalMeaning(queue)]),
) as Record<RefusalCheck, string>;

/** A check that a fault of a dependency fails until the next success. */
export type DependencyCheck = keyof typeof dependencyMeanings | RefusalCheck;

export const dependencyCheckNames = Object.keys({
  ...dependencyMeanings,
  ...refusalMeanings,
}) as readonly DependencyCheck[];

/** Every readiness check: which process has it, and what it reports. The runbook's table is generated from this list. */
export const readinessChecks: Readonly<
  Record<CommonCheck | DependencyCheck, { readonly process: string; readonly meaning: string }>
> = {
  ...described('both', commonMeanings),
  ...described('worker', refusalMeanings),
  ...described('worker', dependencyMeanings),
};

function described<N extends string>(process: string, meanings: Readonly<Record<N, string>>) {
  return Object.fromEntries(
    Object.entries<string>(meanings).map(([name, meaning]) => [name, { process, meaning }]),
  ) as Record<N, { process: string; meaning: string }>;
}
