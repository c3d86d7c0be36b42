import type pg from 'pg';
import { migrateUp } from '../../migrations/migrate.js';
import { apiGrants, workerGrants } from '../documents/least-privilege.js';

/** A role that logs in. */
export interface Login {
  readonly role: string;
  readonly password: string;
}

/** Owns the tables, and logs in nowhere. */
const OWNER = 'rollcall_owner';

/**
 * Makes the roles of a new installation, or sets their passwords: an owner of the tables, and the API and the worker, which may
 * do nothing yet. The client is one that may create roles and owns the database; it need not be a superuser, which no
 * managed PostgreSQL has. Safe to repeat.
 */
export async function makeLogins(client: pg.Client, logins: readonly Login[]): Promise<void> {
  await inTransaction(client, async () => {
    if (!(await exists(client, OWNER))) await client.query(`create role ${OWNER} nologin`);
    await client.query(`grant ${OWNER} to current_user with set true, inherit true`);
    await client.query(`grant usage, create on schema public to ${OWNER}`);
    for (const { role, password } of logins) {
      const name = client.escapeIdentifier(role);
      if (!(await exists(client, role))) await client.query(`create role ${name} login`);
      await client.query(`alter role ${name} password ${client.escapeLiteral(password)}`);
    }
  });
}

/** Migrates as the owner of the tables, to whom all that is made then belongs; resolves to what was applied. */
export async function migrateAsOwner(client: pg.Client): Promise<string[]> {
  await client.query(`set role ${OWNER}`);
  try {
    return await migrateUp(client);
  } finally {
    await client.query('reset role');
  }
}

/**
 * Grants the API and the worker what each needs of the tables there are: after migrations, since one may have added a table.
 * A worker of an earlier version acted as the owner; with its grants it has no need to.
 */
export async function grantRights(
  client: pg.Client,
  { api, worker }: { readonly api: string; readonly worker: string },
): Promise<void> {
  const workerName = client.escapeIdentifier(worker);
  await inTransaction(client, async () => {
    await client.query(`set local role ${OWNER}`);
    for (const statement of [
      ...apiGrants(client.escapeIdentifier(api)),
      ...workerGrants(workerName),
    ]) {
      // The schema belongs to the database's owner, the rest to the owner of the tables.
      const isOfSchema = statement.includes(' on schema ') && !statement.includes(' all ');
      if (isOfSchema) await client.query('reset role');
      await client.query(statement);
      if (isOfSchema) await client.query(`set local role ${OWNER}`);
    }
    await client.query('reset role');
    await client.query(`revoke ${OWNER} from ${workerName}`);
    await client.query(`alter role ${workerName} reset role`);
  });
}

async function exists(client: pg.Client, role: string): Promise<boolean> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
  return rowCount === 1;
}

async function inTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query('begin');
  try {
    await work();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}
