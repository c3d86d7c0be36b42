import { QueryTypes } from 'sequelize';
import type { Database } from './connect.js';

/** The newest migration that this code needs; a test holds it equal to the newest in `migrations/`. */
export const schemaVersion = '0006-uncertain-mails';

/** Resolves to true when the database has been migrated at least as far as this code needs. */
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
