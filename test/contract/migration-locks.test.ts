import test from 'ava';
import pg from 'pg';
import { migrateUp } from '../../migrations/migrate.js';
import { loadMigrations } from '../../migrations/index.js';
import type { Migration } from '../../migrations/migration.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';

shareProcess();

const context = useContext();
const HOLD = 'begin; lock table users in row exclusive mode';
const later: Migration = { name: '9999-later', up: 'lock table users in share mode', down: '' };

test.serial(
  'a migration that meets a locked table lets requests pass, and is applied once it is free',
  async (t) => {
    const [holder, runner, request] = [await connect(t), await connect(t), await connect(t)];
    await holder.query(HOLD);
    const applied = migrateUp(runner, [...(await loadMigrations()), later]);
    await eventually(() => isWaiting(), { of: 'the migration waiting for the lock' });
    await request.query('set statement_timeout = 2000');
    await t.notThrowsAsync(request.query('delete from users'));
    await holder.query('commit');
    t.deepEqual(await applied, [later.name]);
    await runner.query('delete from schema_migrations where name = $1', [later.name]);
  },
);

test.serial('it gives up after its last attempt, and nothing of it remains', async (t) => {
  const [holder, runner] = [await connect(t), await connect(t)];
  await holder.query(HOLD);
  const error = await t.throwsAsync(migrateUp(runner, [...(await loadMigrations()), later], 2), {
    message: 'Migration 9999-later failed and was rolled back',
  });
  t.like(error?.cause, { code: '55P03' });
  t.deepEqual(
    await context.rows('select from schema_migrations where name = $1', [later.name]),
    [],
  );
});

async function isWaiting(): Promise<boolean> {
  const waiting = await context.rows(
    `select from pg_locks where not granted and relation = 'users'::regclass
        and database = (select oid from pg_database where datname = current_database())`,
  );
  return waiting.length > 0;
}

async function connect(scope: Scope): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: context.databaseUrl });
  await client.connect();
  scope.teardown(() => client.end());
  return client;
}
