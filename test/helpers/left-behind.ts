import type pg from 'pg';
import { secretsIn } from '../../dev/checks/test-secrets.js';
import { dumpRedis } from './redis.js';

/** @throws when a table of the database holds a secret. */
export async function refuseSecretsInDatabase(pool: pg.Pool): Promise<void> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select quote_ident(table_name) as name from information_schema.tables where table_schema = 'public'`,
  );
  for (const { name } of tables) {
    const { rows } = await pool.query<{ text: string }>(`select t::text from ${name} t`);
    for (const { text } of rows) refuse(`table ${name}`, text);
  }
}

/** @throws when the Redis database holds a secret. */
export async function refuseSecretsInRedis(url: string): Promise<void> {
  refuse('Redis', await dumpRedis(url));
}

function refuse(place: string, text: string): void {
  const found = secretsIn(text);
  if (found.length > 0) throw new Error(`${place} holds ${found.join(' and ')} after the tests`);
}
