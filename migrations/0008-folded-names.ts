import type pg from 'pg';
import { canonicalName } from '../shared/identity/person-name.js';
import type { MigrationSteps } from './migration.js';

interface Name {
  readonly id: string;
  readonly name: string;
  readonly name_canonical: string;
}

/**
 * Names are compared after full case folding: recomputes `name_canonical`. Where two admins then have the same name, the
 * older one gets the new form and the other keeps the old one.
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
    // The canonical form of ASCII names did not change.
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
