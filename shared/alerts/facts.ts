import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import type { Check, CheckResult } from '../health/checks.js';
import { findDeliveryFailure } from '../health/delivery-failure.js';
import { runChecks } from '../health/readiness.js';
import type { SpoolUse } from '../log-shipping/open-logging.js';
import { readTaskRuns, type TaskRunFacts } from '../tasks/read-task-runs.js';
import { readProcesses, type Processes } from '../presence/read-processes.js';
import type { JobQueue, QueuePause } from '../queues/job-queue.js';
import type { Queues } from '../queues/queues.js';
import {
  queueNames,
  workerRoles,
  type QueueName,
  type RedisName,
  type WorkerRole,
} from '../queues/registry.js';

/** Mails that were not sent. */
export interface MailFailures {
  /** Why no mail has been sent for ten minutes although some were attempted. */
  readonly failure: string | undefined;
  /** Given up within the last hour, and still waiting for a decision. */
  readonly newDead: number;
  /** The same of those that were perhaps sent. */
  readonly newUncertain: number;
}

/** What red states are evaluated from. What could not be read is `undefined`, and nothing is concluded from it. */
export interface Facts {
  /** What the readiness checks of this process found. */
  readonly checks: Readonly<Record<string, CheckResult>>;
  readonly processes: Processes | undefined;
  readonly mail: MailFailures | undefined;
  /** The used share of each Redis's memory. */
  readonly redisUse: Readonly<Partial<Record<RedisName, number | undefined>>>;
  /** Which queues an operator has paused; null for one that is not. */
  readonly pauses: Readonly<Partial<Record<QueueName, QueuePause | null | undefined>>>;
  /** The last runs of the periodic tasks. */
  readonly tasks: readonly TaskRunFacts[] | undefined;
  /** The Redis instances in use. */
  readonly redisNames: readonly RedisName[];
  /** The roles that some worker must have. */
  readonly neededRoles: readonly WorkerRole[];
  /** The spool of this process; `undefined` if it has none. */
  readonly spool: SpoolFacts | undefined;
}

/** The spool of one process, with what it has dropped lately. */
export interface SpoolFacts extends SpoolUse {
  readonly recentlyDropped: number;
}

/** What happened within so long is red, though it is over: a process that vanished, dropped log lines. */
export const RECENT_SECONDS = 15 * 60;

/** The roles that some worker must have. Without a spool nobody ships logs. */
export const rolesNeeded = (hasSpool: boolean): readonly WorkerRole[] =>
  workerRoles.filter((role) => role !== 'logs' || hasSpool);

export interface FactsDeps {
  readonly database: Database;
  readonly queues: Pick<Queues, 'usedShare' | 'redisNames'> &
    Readonly<Record<QueueName, Pick<JobQueue, 'pauseOf'>>>;
  /** The readiness checks of this process. */
  readonly checks: Readonly<Record<string, Check>>;
  readonly neededRoles: readonly WorkerRole[];
  readonly spool?: (() => SpoolFacts | undefined) | undefined;
}

/** Reads everything at the same time, each part for about two seconds at most. Never rejects. */
export async function readFacts(deps: FactsDeps): Promise<Facts> {
  const { database, queues, neededRoles } = deps;
  const [checks, processes, mail, tasks, shares, pauses] = await Promise.all([
    runChecks(deps.checks),
    known(readProcesses(database)),
    known(readMailFailures(database)),
    known(readTaskRuns(database)),
    Promise.all(
      queues.redisNames.map(async (name) => [name, await known(queues.usedShare(name))] as const),
    ),
    Promise.all(
      queueNames.map(
        async (name) => [name, await known(queues[name].pauseOf().then(orNull))] as const,
      ),
    ),
  ]);
  return {
    checks,
    processes,
    mail,
    tasks,
    redisUse: Object.fromEntries(shares),
    pauses: Object.fromEntries(pauses),
    redisNames: queues.redisNames,
    neededRoles,
    spool: deps.spool?.(),
  };
}

const orNull = (pause: QueuePause | undefined): QueuePause | null => pause ?? null;

/** `undefined` for what cannot be read: the readiness check of the same dependency says why. */
const known = <T>(reading: Promise<T>): Promise<T | undefined> => reading.catch(() => undefined);

async function readMailFailures(database: Database): Promise<MailFailures> {
  const [row] = await database.query<Omit<MailFailures, 'failure'> & { hasSent: boolean }>(
    `select exists (
              select from outbox
               where state = 'settled' and outcome = 'sent' and settled_at > now() - interval '10 minutes'
            ) as "hasSent",
            count(*) filter (where state = 'dead')::int as "newDead",
            count(*) filter (where state = 'uncertain')::int as "newUncertain"
       from (
         select state from outbox
          where state in ('dead', 'uncertain') and given_up_at > now() - interval '1 hour' limit 100000
       ) given_up`,
    { type: QueryTypes.SELECT },
  );
  const { hasSent = true, newDead = 0, newUncertain = 0 } = row ?? {};
  // It reads all open messages, and mostly there is no need to.
  const failure = hasSent ? undefined : await findDeliveryFailure(database);
  return { failure, newDead, newUncertain };
}
