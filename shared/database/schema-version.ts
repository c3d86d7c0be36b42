import { QueryTypes } from 'sequelize';
import type { Database } from './connect.js';

/**
 * The newest file in `migrations/`, which the processes require. Change it with each new migration: the runner refuses any
 * other. Written here because the worker's image holds no migrations.
 */
export const schemaVersion = '0014-suppressed-prefixes';

/** Resolves to true when {@link schemaVersion} has been applied to the database. */
export async function isSchemaCurrent(database: Database): Promise<boolean> {
  const [table] = await database.query<{ found: boolean }>(
    `select to_regclass('schema_migrations') is not null as found`,
    { type: QueryTypes.SELECT },
  );
  if (!table?.found) return false;
  const [row] = await database.query<{ found: boolean }>(
    'select exists (select from schema_migrations where name = $schemaVersion) as found',
    { type: QueryTypes.SELECT, bind: { schemaVersion } },
  );
  return row?.found ?? false;
}
