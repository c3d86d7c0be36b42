import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import { retryConflicts } from '../database/transaction.js';
import type { MinuteValues } from '../metrics/minutes.js';
import type { Health } from './health.js';

/** Which process it is. */
export interface ProcessIdentity {
  readonly id: string;
  readonly service: 'rollcall-api' | 'rollcall-worker';
  readonly roles: readonly string[];
  readonly version: string;
  readonly host: string;
  readonly pid: number;
}

/** Why a process ends. */
export interface ProcessEnd {
  readonly reason: string;
  readonly exitCode: number;
  /** False while it still releases what it has. */
  readonly isOver: boolean;
}

/** What a process writes about itself. */
export interface PresenceRow {
  readonly process: ProcessIdentity;
  readonly uptimeSeconds: number;
  readonly memoryBytes: number;
  readonly health: Health;
  readonly end: ProcessEnd | undefined;
  /** Undefined between two minutes. */
  readonly minute: MinuteValues | undefined;
}

/**
 * Times are the database's. What was counted is of the minute before: it is written some seconds after each full minute.
 * Every process writes the names in the same order, so that no two deadlock.
 */
const WRITE = `
  with process as (
    insert into processes (id, service, host, pid, version, roles, started_at, memory_bytes, health,
                           stop_reason, exit_code, stopped_at)
    values ($id, $service, $host, $pid, $version, $roles, now() - $uptime * interval '1 second', $memory, $health::jsonb,
            $reason, $exitCode, case when $isOver then now() end)
    on conflict (id) do update
       set seen_at = now(), memory_bytes = excluded.memory_bytes, health = excluded.health,
           stop_reason = excluded.stop_reason, exit_code = excluded.exit_code, stopped_at = excluded.stopped_at
  ), sums as (
    insert into metric_minutes (name, minute, value)
    select name, date_trunc('minute', now() - interval '30 seconds'), value
      from unnest($sumNames::text[], $sums::float8[]) as counted (name, value) order by name
    on conflict (name, minute) do update set value = metric_minutes.value + excluded.value
  ), maxima as (
    insert into metric_minutes (name, minute, value)
    select name, date_trunc('minute', now() - interval '30 seconds'), value
      from unnest($maximumNames::text[], $maxima::float8[]) as read (name, value) order by name
    on conflict (name, minute) do update set value = greatest(metric_minutes.value, excluded.value)
  )
  select extract(epoch from clock_timestamp())::float8 * 1000 as ms`;

/**
 * Writes, or writes anew, the row of a process, and adds what it counted: one statement. Resolves to the database's time, in
 * milliseconds since 1970. @throws the database's error.
 */
export async function writePresence(database: Database, row: PresenceRow): Promise<number> {
  const bind = parametersOf(row);
  const [clock] = await retryConflicts(() =>
    database.query<{ ms: number }>(WRITE, { type: QueryTypes.SELECT, bind }),
  );
  return clock?.ms ?? NaN;
}

function parametersOf(row: PresenceRow) {
  const { process, end, minute } = row;
  return {
    ...process,
    roles: [...process.roles],
    uptime: row.uptimeSeconds,
    memory: row.memoryBytes,
    health: JSON.stringify(row.health),
    reason: end?.reason ?? null,
    exitCode: end?.exitCode ?? null,
    isOver: end?.isOver ?? false,
    sumNames: [...(minute?.sums.keys() ?? [])],
    sums: [...(minute?.sums.values() ?? [])],
    maximumNames: [...(minute?.maxima.keys() ?? [])],
    maxima: [...(minute?.maxima.values() ?? [])],
  };
}
