import { readdir } from 'node:fs/promises';
import { schemaVersion } from '../shared/database/schema-version.js';
import type { Migration, MigrationSteps } from './migration.js';

const COMPILED_MIGRATION = /^(\d{4}-[a-z0-9-]+)\.js$/;

/** Every migration of this folder, oldest first. */
export async function loadMigrations(): Promise<readonly Migration[]> {
  const files = await readdir(import.meta.dirname);
  const names = files.flatMap((file) => COMPILED_MIGRATION.exec(file)?.[1] ?? []).toSorted();
  refuseWrongNames(names);
  return Promise.all(names.map(loadMigration));
}

async function loadMigration(name: string): Promise<Migration> {
  // The bundler leaves a path that it does not know alone; the bundle then requires it, so no migration can await at its top level.
  const path = `./${name}.js`;
  const module = (await import(path)) as { readonly migration: MigrationSteps };
  return { name, ...module.migration };
}

/** Numbers must be consecutive, and the code must require the newest: otherwise a release would run on an older schema. */
function refuseWrongNames(names: readonly string[]): void {
  const misnumbered = names.find((name, i) => Number.parseInt(name, 10) !== i + 1);
  if (misnumbered !== undefined)
    throw new Error(
      `migrations/${misnumbered} is out of sequence: number migrations 0001, 0002, … without gaps. ` +
        'If its source is gone, delete dist/ and build again.',
    );
  if (names.at(-1) !== schemaVersion)
    throw new Error(
      `The newest migration is ${names.at(-1)}, but the code requires ${schemaVersion}: ` +
        'set schemaVersion in shared/database/schema-version.ts to the newest. ' +
        'If the source of that migration is gone, delete dist/ and build again.',
    );
}
