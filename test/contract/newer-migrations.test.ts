import test from 'ava';
import pg from 'pg';
import { loadMigrations } from '../../migrations/index.js';
import { migrateDown, migrateUp, migrationStatus } from '../../migrations/migrate.js';
import type { Migration } from '../../migrations/migration.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';

shareProcess();

const context = useContext();
const newer: Migration = { name: '9998-newer', up: 'select', down: 'select' };

test('beneath a migration that only a newer release knows nothing is reverted', async (t) => {
  const client = new pg.Client({ connectionString: context.databaseUrl });
  await client.connect();
  t.teardown(() => client.end());
  const migrations = await loadMigrations();
  await migrateUp(client, [...migrations, newer]);
  await t.throwsAsync(migrateDown(client), {
    message:
      'the schema is newer than this release (9998-newer): revert with the release that applied it',
  });
  t.true((await migrationStatus(client)).every(({ appliedAt }) => appliedAt !== null));

  const program = startProgram('dist/migrations/run.js', environment(context), t, ['status']);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.regex(program.stdout(), /\n9998-newer  \S+Z  applied by another release\n$/);
  t.is(program.stdout().split('\n').length, migrations.length + 2);

  t.is(await migrateDown(client, [...migrations, newer]), newer.name);
  t.is(await migrateDown(client), migrations.at(-1)?.name);
});
