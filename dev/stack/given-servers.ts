import type pg from 'pg';
import { loadMigrations } from '../../migrations/index.js';
import { loadQueueToolConfig } from '../../shared/config/config.js';
import { createSingleClient } from '../../shared/database/single-client.js';
import { messageOf } from '../../shared/errors/message-of.js';
import { connectRedis } from '../../shared/queues/redis-client.js';
import type { DevEnv } from '../env.js';
import type { LocalSecrets } from './secrets.js';
import { serviceEnvironment } from './service-environment.js';

type DatabaseConfig = ReturnType<typeof loadQueueToolConfig>['database'];

const SHOWN_TABLES = 3;

/** Checks the servers that the environment names, with its settings for them. @throws for the first that cannot be used. */
export async function checkGivenServers(env: DevEnv, secrets: LocalSecrets): Promise<void> {
  const { databaseUrl, redisUrl } = env;
  // What is started later has no address yet.
  const unknown = 'http://localhost';
  const addresses = {
    api: unknown,
    firehose: unknown,
    postgres: databaseUrl ?? 'postgres://user@localhost/database',
    redis: redisUrl ?? 'redis://localhost',
  };
  const config = loadQueueToolConfig(serviceEnvironment(env, secrets, addresses));
  if (databaseUrl !== undefined) await checkGivenDatabase(config.database);
  if (redisUrl !== undefined) await checkGivenRedis(config.redis.url);
}

/**
 * Checks the database that DATABASE_URL names. @throws when it cannot be used, or holds tables but no migration of Rollcall:
 * the migrations would add theirs to another project's.
 */
export async function checkGivenDatabase(config: DatabaseConfig): Promise<void> {
  const where = `DATABASE_URL names the database ${config.name} on ${config.host}:${config.port}`;
  const client = createSingleClient(config, 'rollcall-dev');
  let foreign: readonly string[];
  try {
    await client.connect();
    foreign = await findForeignTables(client);
  } catch (error) {
    throw new Error(
      `${where}, which cannot be used: ${messageOf(error)}. Name another, or unset DATABASE_URL: then one is started.`,
      { cause: error },
    );
  } finally {
    await client.end();
  }
  if (foreign.length === 0) return;
  const shown = [
    ...foreign.slice(0, SHOWN_TABLES),
    ...(foreign.length > SHOWN_TABLES ? ['…'] : []),
  ];
  throw new Error(
    `${where}, which holds tables (${shown.join(', ')}) but no migrations of Rollcall: it seems to be another project's. ` +
      'Nothing was changed. Name an empty database, or unset DATABASE_URL: then one is started.',
  );
}

/** Checks the Redis that REDIS_URL names. @throws when it cannot be used. */
export async function checkGivenRedis(url: string): Promise<void> {
  try {
    const redis = await connectRedis(url);
    try {
      await redis.ping();
    } finally {
      redis.disconnect();
    }
  } catch (error) {
    throw new Error(
      `REDIS_URL names the Redis on ${new URL(url).host}, which cannot be used: ${messageOf(error)}. ` +
        'Start it, name another, or unset REDIS_URL: then one is started.',
      { cause: error },
    );
  }
}

/** The tables of a database that Rollcall has not migrated; none if it has. */
async function findForeignTables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname <> 'information_schema' and schemaname !~ '^pg_' order by 1`,
  );
  const tables = rows.map(({ name }) => name);
  const applied = await appliedMigrations(client);
  // Reverting every migration leaves their list.
  const isOnlyList = applied.length === 0 && tables.join() === 'schema_migrations';
  const known = new Set((await loadMigrations()).map(({ name }) => name));
  return isOnlyList || applied.some((name) => known.has(name)) ? [] : tables;
}

/** Another project may have a table of this name too, without our columns. */
async function appliedMigrations(client: pg.Client): Promise<string[]> {
  const list = await client.query<{ found: boolean }>(
    `select to_regclass('schema_migrations') is not null as found`,
  );
  if (list.rows[0]?.found !== true) return [];
  const { rows } = await client.query<{ name: string }>(
    `select coalesce(to_jsonb(applied) ->> 'name', '') as name from schema_migrations applied`,
  );
  return rows.map(({ name }) => name);
}
