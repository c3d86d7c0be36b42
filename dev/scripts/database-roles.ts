import { loadOrExit, loadToolConfig } from '../../shared/config/config.js';
import { createSingleClient } from '../../shared/database/single-client.js';
import { grantToApi, makeLogins } from '../deploy/database-roles.js';
import { readDatabaseRolesEnv } from '../env.js';

// `npm run database-roles -- logins | grants`: the roles of an installation in PostgreSQL, around its migrations.

const USAGE = `usage: npm run database-roles -- logins | grants

  logins   makes the roles of the API and the worker, and the owner of the tables; before the first migration
  grants   grants the API what it needs of the tables; after every migration

Connects as POSTGRES_* says, with a role that may create roles and owns the database. The logins are those of
DATABASE_API_ROLE, DATABASE_API_PASSWORD, DATABASE_WORKER_ROLE and DATABASE_WORKER_PASSWORD.`;

process.exitCode = await main(process.argv.slice(2));

async function main([command, ...rest]: readonly string[]): Promise<number> {
  const { api, worker } = readDatabaseRolesEnv();
  const isComplete = [api, worker].every(({ role, password }) => role !== '' && password !== '');
  if ((command !== 'logins' && command !== 'grants') || rest.length > 0 || !isComplete) {
    console.error(USAGE);
    return 64;
  }
  const { database } = loadOrExit(() => loadToolConfig());
  const client = createSingleClient(database, 'rollcall-database-roles');
  try {
    await client.connect();
    await (command === 'logins' ? makeLogins(client, api, worker) : grantToApi(client, api.role));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await client.end();
  }
  console.log(command === 'logins' ? 'The roles are there.' : 'The API has its grants.');
  return 0;
}
