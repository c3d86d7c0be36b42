import type pg from 'pg';
import { databaseGrants } from '../documents/least-privilege.js';

/** A role that logs in. */
export interface Login {
  readonly role: string;
  readonly password: string;
}

/** Owns the tables, and logs in nowhere. */
const OWNER = 'rollcall_owner';

/**
 * Makes the roles of a new installation, or sets their passwords: an owner of the tables, the worker, which acts as the owner
 * and migrates, and the API, which may do nothing yet. The client is one that may create roles and owns the database;
 * it need not be a superuser, which no managed PostgreSQL has. Safe to repeat.
 */
export async function makeLogins(client: pg.Client, api: Login, worker: Login): Promise<void> {
  await inTransaction(client, async () => {
    if (!(await exists(client, OWNER))) await client.query(`create role ${OWNER} nologin`);
    await client.query(`grant ${OWNER} to current_user with set true, inherit true`);
    await client.query(`grant usage, create on schema public to ${OWNER}`);
    for (const { role, password } of [api, worker]) {
      const name = client.escapeIdentifier(role);
      if (!(await exists(client, role))) await client.query(`create role ${name} login`);
      await client.query(`alter role ${name} password ${client.escapeLiteral(password)}`);
    }
    const name = client.escapeIdentifier(worker.role);
    await client.query(`grant ${OWNER} to ${name}`);
    // What it makes, the months of the audit and the tables of migrations, belongs to the owner.
    await client.query(`alter role ${name} set role ${OWNER}`);
  });
}

/** Grants the API what it needs of the tables there are: after migrations, since one may have added a table. */
export async function grantToApi(client: pg.Client, role: string): Promise<void> {
  await inTransaction(client, async () => {
    await client.query(`set local role ${OWNER}`);
    for (const statement of databaseGrants(client.escapeIdentifier(role))) {
      // The schema belongs to the database's owner, the rest to the owner of the tables.
      const isOfSchema = statement.includes(' on schema ') && !statement.includes(' all ');
      if (isOfSchema) await client.query('reset role');
      await client.query(statement);
      if (isOfSchema) await client.query(`set local role ${OWNER}`);
    }
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
