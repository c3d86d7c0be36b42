import type pg from 'pg';
import { canonicalName } from '../shared/identity/person-name.js';
import type { MigrationSteps } from './migration.js';

interface Name {
  readonly id: string;
  readonly name: string;
  readonly name_canonical: string;
}

/**
 * Names are compared after full case folding: works out `name_canonical` again. Where two admins turn out to bear
 * the same name, the one who was first keeps it, and the other's stays comparable as it was.
 */
export const migration: MigrationSteps = {
  up: '',
  backfill: async (client) => {
    await foldNames(client, 'admins', 'integer');
    await foldNames(client, 'registrations', 'uuid');
  },
  down: '',
};

async function foldNames(client: pg.ClientBase, table: string, idType: string): Promise<void> {
  const { rows } = await client.query<Name>(
    // What is ASCII compares as it did.
    `select id::text, name, name_canonical from ${table} where name ~ '[^[:ascii:]]' order by id`,
  );
  for (const { id, name, name_canonical } of rows) {
    const folded = canonicalName(name);
    if (folded === name_canonical) continue;
    await client.query(
      `update ${table} set name_canonical = $2
        where id = $1::${idType} ${table === 'admins' ? UNLESS_TAKEN : ''}`,
      [id, folded],
    );
  }
}

const UNLESS_TAKEN =
  'and not exists (select from admins as other where other.name_canonical = $2 and other.id <> admins.id)';
