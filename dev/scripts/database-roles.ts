import type pg from 'pg';
import { loadOrExit, loadToolConfig } from '../../shared/config/config.js';
import { createSingleClient } from '../../shared/database/single-client.js';
import { grantRights, makeLogins, migrateAsOwner } from '../deploy/database-roles.js';
import { readDatabaseRolesEnv } from '../env.js';

// `npm run database-roles -- logins | migrate | grants`: the roles of an installation in PostgreSQL, and its migrations.

const USAGE = `usage: npm run database-roles -- logins | migrate | grants

  logins    makes the roles of the API and the worker, and the owner of the tables; or sets their passwords
  migrate   applies every pending migration, as the owner of the tables
  grants    grants the API and the worker what each needs of the tables; after every migration

Connects as POSTGRES_* says, with a role that may create roles and owns the database. The logins are those of
DATABASE_API_ROLE, DATABASE_API_PASSWORD, DATABASE_WORKER_ROLE and DATABASE_WORKER_PASSWORD.`;

const { api, worker } = readDatabaseRolesEnv();

/** Each resolves to what it says when it is done. */
const commands: Readonly<Record<string, (client: pg.Client) => Promise<string>>> = {
  async logins(client) {
    await makeLogins(client, [api, worker]);
    return 'The roles are there.';
  },
  async migrate(client) {
    const names = await migrateAsOwner(client);
    return names.map((name) => `applied ${name}`).join('\n') || 'nothing to apply';
  },
  async grants(client) {
    await grantRights(client, { api: api.role, worker: worker.role });
    return 'The API and the worker have their grants.';
  },
};

process.exitCode = await main(process.argv.slice(2));

async function main([name = '', ...rest]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  const isComplete = [api, worker].every(({ role, password }) => role !== '' && password !== '');
  if (!command || rest.length > 0 || !isComplete) {
    console.error(USAGE);
    return 64;
  }
  const { database } = loadOrExit(() => loadToolConfig());
  const client = createSingleClient(database, 'rollcall-database-roles');
  try {
    await client.connect();
    console.log(await command(client));
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await client.end();
  }
}
