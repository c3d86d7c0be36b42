import pg from 'pg';
import type { TestContext } from './context.js';

/**
 * Makes the context's database read-only, or lets it write again, for all sessions that begin from now on. Those that there
 * are end, unless it is said that they stay as they are.
 */
export async function setReadOnly(
  context: TestContext,
  value: 'on' | 'off',
  { ending = true } = {},
): Promise<void> {
  const client = new pg.Client({
    connectionString: context.databaseUrl,
    options: '-c default_transaction_read_only=off',
  });
  await client.connect();
  try {
    await client.query(`alter database ${context.id} set default_transaction_read_only = ${value}`);
    if (ending)
      await client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name like 'rollcall-%'`,
      );
  } finally {
    await client.end();
  }
}
