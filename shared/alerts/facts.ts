import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import type { Check, CheckResult } from '../health/checks.js';
import { findDeliveryFailure } from '../health/outbox-check.js';
import { readiness } from '../health/readiness.js';
import type { SpoolUse } from '../log-shipping/open-logging.js';
import type { Queues } from '../queues/queues.js';
import type { RedisName, WorkerRole } from '../queues/registry.js';

/** A process, as it reported itself. */
export interface ProcessFacts {
  /** `rollcall-api`, `rollcall-worker`. */
  readonly service: string;
  readonly host: string;
  readonly pid: number;
  readonly roles: readonly string[];
  /** Seconds since it was last seen. */
  readonly seenAgo: number;
  /** Seconds since it said that it stops; null while it has not. */
  readonly stoppedAgo: number | null;
  readonly stopReason: string | null;
  readonly exitCode: number | null;
  /** What its readiness checks found. */
  readonly health: Readonly<Record<string, CheckResult>>;
}

/** Mails that need somebody. */
export interface MailFacts {
  /** Why no mail has been sent for ten minutes although some were attempted. */
  readonly failure: string | undefined;
  /** Given up within the last hour, and still waiting for a decision. */
  readonly newDead: number;
  /** The same of those that were perhaps sent. */
  readonly newUncertain: number;
}

/** What red states are told from. What could not be read is `undefined`, and nothing is concluded from it. */
export interface Facts {
  /** What the readiness checks of this process found. */
  readonly checks: Readonly<Record<string, CheckResult>>;
  readonly processes: readonly ProcessFacts[] | undefined;
  readonly mail: MailFacts | undefined;
  /** The used share of each Redis's memory. */
  readonly redisUse: Readonly<Partial<Record<RedisName, number>>>;
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

export interface FactsDeps {
  readonly database: Database;
  readonly queues: Pick<Queues, 'usedShare' | 'redisNames'>;
  /** The readiness checks of this process. */
  readonly checks: Readonly<Record<string, Check>>;
  readonly neededRoles: readonly WorkerRole[];
  readonly spool?: (() => SpoolFacts | undefined) | undefined;
}

/** A process that vanished, or has stopped, is told of for so long. */
export const RECENT_SECONDS = 15 * 60;

/** Reads everything at the same time, each part for about two seconds at most. Never rejects. */
export async function readFacts(deps: FactsDeps): Promise<Facts> {
  const { database, queues, neededRoles } = deps;
  const [{ checks }, processes, mail, shares] = await Promise.all([
    readiness(deps.checks, () => false),
    known(readProcessFacts(database)),
    known(readMailFacts(database)),
    Promise.all(
      queues.redisNames.map(async (name) => [name, await known(queues.usedShare(name))] as const),
    ),
  ]);
  return {
    checks,
    processes,
    mail,
    redisUse: Object.fromEntries(shares.filter(([, share]) => share !== undefined)),
    redisNames: queues.redisNames,
    neededRoles,
    spool: deps.spool?.(),
  };
}

/** `undefined` for what cannot be read: the readiness check of the same dependency says why. */
const known = <T>(reading: Promise<T>): Promise<T | undefined> => reading.catch(() => undefined);

async function readProcessFacts(database: Database): Promise<ProcessFacts[]> {
  return database.query<ProcessFacts>(
    `select service, host, pid, roles, extract(epoch from now() - seen_at)::int as "seenAgo",
            extract(epoch from now() - stopped_at)::int as "stoppedAgo", stop_reason as "stopReason",
            exit_code as "exitCode", health
       from processes where seen_at > now() - $seconds * interval '1 second'
      order by seen_at desc limit 500`,
    { type: QueryTypes.SELECT, bind: { seconds: 2 * RECENT_SECONDS } },
  );
}

async function readMailFacts(database: Database): Promise<MailFacts> {
  const [row] = await database.query<Omit<MailFacts, 'failure'> & { hasSent: boolean }>(
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
