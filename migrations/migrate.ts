import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { advisoryLocks } from '../shared/database/advisory-locks.js';
import { LOCALE_ADVICE, LOCALE_PROBLEM, LOWERS_ASCII } from '../shared/database/locale.js';
import { loadMigrations } from './index.js';
import type { Migration } from './migration.js';

/** One migration and when it was applied; `null`: pending. */
export interface MigrationStatus {
  readonly name: string;
  readonly appliedAt: Date | null;
  /** False for one that only another release has. */
  readonly isKnown: boolean;
}

const OTHER_RUNNERS_TIMEOUT = '120s';
/**
 * A migration that waits for a table lock blocks every later query of the table: it gives up before those do, which wait for
 * two seconds by default, lets them pass, and tries again.
 */
const TABLE_LOCK_TIMEOUT = '1s';
const MAX_LOCK_ATTEMPTS = 10;
const LOCK_RETRY_MS = 1_000;
/** PostgreSQL manual, appendix A. */
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Applies every pending migration, each in its own transaction. Safe to run on many hosts at once: an advisory lock
 * serializes them, and each migration is applied once. Resolves to the names that this call applied. Rejects for a database
 * whose locale is unsuitable, before it changes anything, and when others keep a table locked over all attempts.
 */
export async function migrateUp(
  client: pg.Client,
  migrations?: readonly Migration[],
  lockAttempts = MAX_LOCK_ATTEMPTS,
): Promise<string[]> {
  const all = migrations ?? (await loadMigrations());
  const names: string[] = [];
  await refuseLocale(client);
  for (;;) {
    const name = await retryLocked(lockAttempts, () =>
      underLock(client, () => applyNext(client, all)),
    );
    if (name === undefined) return names;
    names.push(name);
  }
}

async function applyNext(
  client: pg.Client,
  migrations: readonly Migration[],
): Promise<string | undefined> {
  const applied = await appliedNames(client);
  const next = migrations.find(({ name }) => !applied.has(name));
  if (next)
    await step(client, next, {
      statements: next.up,
      backfill: next.backfill,
      bookkeeping: 'insert into schema_migrations (name) values ($1)',
    });
  return next?.name;
}

/**
 * Reverts the newest applied migration. Resolves to its name, or to `undefined` when there was none.
 * @throws when a newer one is applied that this release does not know: it may need what would be reverted.
 */
export async function migrateDown(
  client: pg.Client,
  migrations?: readonly Migration[],
): Promise<string | undefined> {
  const all = migrations ?? (await loadMigrations());
  return underLock(client, async () => {
    const applied = await appliedNames(client);
    const newest = all.findLast(({ name }) => applied.has(name));
    const newer = newestUnknown(applied, all);
    if (newer !== undefined && newer > (newest?.name ?? ''))
      throw new Error(
        `the schema is newer than this release (${newer}): revert with the release that applied it`,
      );
    if (newest)
      await step(client, newest, {
        statements: newest.down,
        bookkeeping: 'delete from schema_migrations where name = $1',
      });
    return newest?.name;
  });
}

/** Every known migration, and any other that was applied, with the time at which it was applied; changes nothing. */
export async function migrationStatus(
  client: pg.Client,
  migrations?: readonly Migration[],
): Promise<MigrationStatus[]> {
  const rows = (await isPrepared(client))
    ? (
        await client.query<{ name: string; applied_at: Date }>(
          'select name, applied_at from schema_migrations',
        )
      ).rows
    : [];
  const times = new Map(rows.map((row) => [row.name, row.applied_at]));
  const known = new Set((migrations ?? (await loadMigrations())).map(({ name }) => name));
  return [...new Set([...known, ...times.keys()])].toSorted().map((name) => ({
    name,
    appliedAt: times.get(name) ?? null,
    isKnown: known.has(name),
  }));
}

function newestUnknown(
  applied: ReadonlySet<string>,
  migrations: readonly Migration[],
): string | undefined {
  const known = new Set(migrations.map(({ name }) => name));
  return [...applied]
    .filter((name) => !known.has(name))
    .toSorted()
    .at(-1);
}

/**
 * Does the work in one transaction under the advisory lock. Lock and time-outs are scoped to the transaction, as behind a
 * connection pooler the next one may run in another session.
 */
async function underLock<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    // The role's time-outs are meant for requests.
    await client.query('set local statement_timeout = 0');
    await client.query(`set local lock_timeout = '${OTHER_RUNNERS_TIMEOUT}'`);
    await client.query('select pg_advisory_xact_lock($1)', [advisoryLocks.migrate]);
    await client.query(`set local lock_timeout = '${TABLE_LOCK_TIMEOUT}'`);
    // A role that may create no table may still find that nothing is left to do.
    if (!(await isPrepared(client)))
      await client.query(
        'create table schema_migrations (name text primary key, applied_at timestamptz not null default now())',
      );
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    // Fails on a lost connection, where the server rolls back by itself: report the first error.
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** Tries again what was rolled back since others had locked a table. */
async function retryLocked<T>(attempts: number, attempt: () => Promise<T>): Promise<T> {
  for (let left = attempts - 1; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left <= 0 || !isTableLocked(error)) throw error;
      await delay(LOCK_RETRY_MS);
    }
  }
}

/** Not for the lock of the migrations themselves, whose error has no cause. */
const isTableLocked = (error: unknown): boolean =>
  error instanceof Error &&
  error.cause instanceof pg.DatabaseError &&
  error.cause.code === LOCK_NOT_AVAILABLE;

async function refuseLocale(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ suits: boolean }>(`select ${LOWERS_ASCII} as suits`);
  if (rows[0]?.suits !== true) throw new Error(`The database ${LOCALE_PROBLEM}. ${LOCALE_ADVICE}`);
}

async function isPrepared(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `select to_regclass('schema_migrations') is not null as found`,
  );
  return rows[0]?.found === true;
}

async function appliedNames(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>('select name from schema_migrations');
  return new Set(rows.map(({ name }) => name));
}

interface Step {
  readonly statements: string;
  readonly backfill?: Migration['backfill'];
  readonly bookkeeping: string;
}

async function step(
  client: pg.Client,
  { name }: Migration,
  { statements, backfill, bookkeeping }: Step,
): Promise<void> {
  try {
    await client.query(statements);
    await backfill?.(client);
    await client.query(bookkeeping, [name]);
  } catch (error) {
    throw new Error(`Migration ${name} failed and was rolled back`, { cause: error });
  }
}
