import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import type { Health } from './health.js';

/** What a process has written about itself. */
export interface ProcessPresence {
  readonly id: string;
  readonly service: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  /** What a worker does; empty for the API. */
  readonly roles: readonly string[];
  readonly startedAt: Date;
  readonly seenAt: Date;
  /** Seconds since then, by the database's clock. */
  readonly seenSecondsAgo: number;
  readonly stoppedAt: Date | null;
  /** Why it stops or has stopped: a signal, or an uncaught exception with its message. */
  readonly stopReason: string | null;
  readonly exitCode: number | null;
  readonly memoryBytes: number;
  readonly health: Health;
}

/** The processes seen within a period, those seen last first. */
export interface Processes {
  readonly live: readonly ProcessPresence[];
  /** Vanished without a stop: killed, or cut off from PostgreSQL. */
  readonly lost: readonly ProcessPresence[];
  readonly stopped: readonly ProcessPresence[];
}

/** A process writes once a minute: after two that it missed it counts as lost. */
export const LOST_AFTER_SECONDS = 150;
const MAX_PROCESSES = 500;

/**
 * Reads which processes run, which have stopped and which have vanished.
 * @param since a day ago unless given. Processes that are gone are forgotten after 30 days.
 */
export async function readProcesses(database: Database, since?: Date): Promise<Processes> {
  const rows = await database.query<ProcessPresence>(
    `select id, service, host, pid, version, roles, started_at as "startedAt", seen_at as "seenAt",
            extract(epoch from now() - seen_at)::float8 as "seenSecondsAgo", stopped_at as "stoppedAt",
            stop_reason as "stopReason", exit_code as "exitCode", memory_bytes::float8 as "memoryBytes", health
       from processes where seen_at > coalesce($since::timestamptz, now() - interval '1 day')
      order by seen_at desc limit ${MAX_PROCESSES}`,
    { type: QueryTypes.SELECT, bind: { since: since ?? null } },
  );
  const open = rows.filter(({ stoppedAt }) => stoppedAt === null);
  return {
    live: open.filter(({ seenSecondsAgo }) => seenSecondsAgo <= LOST_AFTER_SECONDS),
    lost: open.filter(({ seenSecondsAgo }) => seenSecondsAgo > LOST_AFTER_SECONDS),
    stopped: rows.filter(({ stoppedAt }) => stoppedAt !== null),
  };
}

/** The first start of a service's process with another version than the one before: a mark in a chart. */
export interface DeployMark {
  readonly service: string;
  readonly version: string;
  readonly startedAt: Date;
}

/** When the version that starts has changed within the last so many seconds, back to an earlier one too. */
export function readDeployMarks(database: Database, seconds: number): Promise<DeployMark[]> {
  return database.query<DeployMark>(
    `select service, version, started_at as "startedAt" from (
       select service, version, started_at,
              lag(version) over (partition by service order by started_at) as before from processes
     ) starts
      where version is distinct from before and started_at > now() - $seconds * interval '1 second'
      order by started_at`,
    { type: QueryTypes.SELECT, bind: { seconds } },
  );
}
