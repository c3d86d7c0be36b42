import test, { type ExecutionContext } from 'ava';
import pg from 'pg';
import type { ModelStatic, Model } from 'sequelize';
import { DataType } from 'sequelize-typescript';
import { loadMigrations } from '../../migrations/index.js';
import { migrateDown, migrateUp, migrationStatus } from '../../migrations/migrate.js';
import type { Migration } from '../../migrations/migration.js';
import { advisoryLocks } from '../../shared/database/advisory-locks.js';
import type { Database } from '../../shared/database/connect.js';
import { isSchemaCurrent, schemaVersion } from '../../shared/database/schema-version.js';
import { models } from '../../shared/models/index.js';
import { useContext, type Scope } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { environment, productionEnvironment } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { startProgram } from '../helpers/processes.js';
import { snapshotSchema, columnsOf, type ColumnFacts } from '../helpers/schema.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';

const context = useContext();
let migrations: readonly Migration[];
let names: readonly string[];

test.before(async () => {
  migrations = await loadMigrations();
  names = migrations.map(({ name }) => name);
});

// One database: each test leaves it migrated, and they take turns.
test.serial.afterEach.always(async () => {
  const client = new pg.Client({ connectionString: context.databaseUrl });
  await client.connect();
  await migrateUp(client);
  await client.end();
});

test.serial('up, down and up again leave the same schema, step by step', async (t) => {
  const client = await connect(t);
  const after: (readonly string[])[] = [await snapshotSchema(context)];
  for (const name of names.toReversed()) {
    t.is(await migrateDown(client), name);
    after.unshift(await snapshotSchema(context));
  }
  t.is(await migrateDown(client), undefined);
  t.true(
    after[0]?.every((line) => line.includes('schema_migrations')),
    String(after[0]),
  );

  for (const [i, migration] of migrations.entries()) {
    await migrateUp(client, migrations.slice(0, i + 1));
    t.deepEqual(await snapshotSchema(context), after[i + 1], `after ${migration.name}`);
  }
});

test.serial('two runners at once apply each migration once', async (t) => {
  const [one, other] = [await connect(t), await connect(t)];
  while (await migrateDown(one));
  const applied = await Promise.all([migrateUp(one), migrateUp(other)]);
  t.deepEqual(applied.flat().toSorted(), names);
});

test.serial(
  'four processes at once end with 0, and each migration is applied by one of them',
  async (t) => {
    const client = await connect(t);
    while (await migrateDown(client));
    const runs = Array.from({ length: 4 }, () => run(t, 'up'));
    const outputs = await Promise.all(
      runs.map(async (program) => {
        t.deepEqual(await program.waitForExit(), { code: 0, signal: null }, program.stderr());
        return program.stdout();
      }),
    );
    const lines = outputs.join('').trimEnd().split('\n');
    t.deepEqual(
      lines.filter((line) => line !== 'nothing to apply').toSorted(),
      names.map((name) => `applied ${name}`),
    );
  },
);

test.serial('up, status and down print what they did; status changes nothing', async (t) => {
  const newest = names.at(-1);
  const tell = async (command: string): Promise<string> => {
    const program = run(t, command);
    t.deepEqual(await program.waitForExit(), { code: 0, signal: null }, program.stderr());
    return program.stdout();
  };
  t.is(await tell('down'), `reverted ${newest}\n`);
  const before = await snapshotSchema(context);
  t.regex(await tell('status'), new RegExp(`^${newest}  pending$`, 'm'));
  t.deepEqual(await snapshotSchema(context), before);
  t.is(await tell('up'), `applied ${newest}\n`);
  t.is(await tell('up'), 'nothing to apply\n');
  t.regex(await tell('status'), new RegExp(`^${newest}  \\d{4}-\\d\\d-\\d\\dT`, 'm'));
});

test.serial('a reader that closes its end is no failure', async (t) => {
  const program = run(t, 'status');
  program.closeReader('stdout');
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.is(program.stderr(), '');
});

test.serial('an unknown command is refused and changes nothing', async (t) => {
  const program = run(t, 'sideways');
  t.deepEqual(await program.waitForExit(), { code: 64, signal: null });
  t.regex(program.stderr(), /^usage: /);
});

test.serial(
  'a database that cannot be reached ends a run with 1, without a word of the password',
  async (t) => {
    const env = environment(context, {
      DATABASE_URL: 'postgres://someone:canary@127.0.0.1:1/none',
    });
    const program = startProgram('dist/migrations/run.js', env, t, ['up']);
    t.deepEqual(await program.waitForExit(), { code: 1, signal: null });
    t.regex(program.stderr(), /ECONNREFUSED/);
    t.false(program.stderr().includes('canary'));
  },
);

test.serial('a run whose connection is cut prints one line and ends with 1', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const env = environment(context, { DATABASE_URL: proxy.urlFor(context.databaseUrl) });
  const holder = await connect(t);
  await holder.query('select pg_advisory_lock($1)', [advisoryLocks.migrate]);
  const program = startProgram('dist/migrations/run.js', env, t, ['up']);
  await eventually(async () => {
    const waiting = await context.rows(
      `select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`,
    );
    return waiting.length > 0;
  });
  proxy.hangUp();
  t.deepEqual(await program.waitForExit(), { code: 1, signal: null });
  t.is(program.stderr(), 'Connection terminated unexpectedly\n');
});

test.serial(
  'a migration that fails is rolled back completely; the ones before it stay',
  async (t) => {
    const client = await connect(t);
    const good: Migration = {
      name: '9998-good',
      up: 'create table good (id int)',
      down: 'drop table good',
    };
    const bad: Migration = {
      name: '9999-bad',
      up: 'create table half (id int); select 1/0; create table other (id int)',
      down: 'drop table half',
    };
    const before = await snapshotSchema(context);
    await t.throwsAsync(migrateUp(client, [...migrations, good, bad]), {
      message: 'Migration 9999-bad failed and was rolled back',
    });
    const status = await migrationStatus(client, [...migrations, good, bad]);
    t.deepEqual(
      status.filter(({ appliedAt }) => appliedAt === null).map(({ name }) => name),
      ['9999-bad'],
    );
    t.is(await migrateDown(client, [...migrations, good, bad]), '9998-good');
    t.deepEqual(await snapshotSchema(context), before);
  },
);

test.serial('names are compared after case folding, also those from before it', async (t) => {
  const client = await connect(t);
  const before = migrations.findIndex(({ name }) => name === '0008-folded-names');
  while ((await migrateDown(client)) !== migrations[before]?.name);
  await client.query(`
    insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at)
    select who || '@x.test', who || '@x.test', name, lower(name), 'x', at
      from (values ('one', 'KARL GROSS', now()), ('two', 'Karl Groß', now()), ('three', 'Uwe Strauß', now()),
                   ('five', 'Ann Smith', now())) as admin (who, name, at);
    insert into registrations (id, email, email_canonical, name, name_canonical, password_hash)
    values (gen_random_uuid(), 'six@x.test', 'six@x.test', 'Eva Voß', 'eva voß', 'x')`);
  await migrateUp(client);
  const admins = await client.query('select name_canonical from admins order by id');
  t.deepEqual(
    admins.rows.map((row: { name_canonical: string }) => row.name_canonical),
    ['karl gross', 'karl groß', 'uwe strauss', 'ann smith'],
  );
  const registered = await client.query('select name_canonical from registrations');
  t.deepEqual(registered.rows, [{ name_canonical: 'eva voss' }]);
  await client.query('truncate admins, registrations cascade');
});

test.serial('the code knows whether the database is far enough', async (t) => {
  const client = await connect(t);
  const database = openTestDatabase(t, context.databaseUrl);
  t.is(names.at(-1), schemaVersion);
  t.true(await isSchemaCurrent(database));
  await migrateDown(client);
  t.false(await isSchemaCurrent(database));
  await client.query('drop table schema_migrations cascade');
  t.false(await isSchemaCurrent(database));
  await client.query('drop schema public cascade; create schema public');
});

test('names are unique, numbered without gaps and in order', (t) => {
  t.deepEqual(
    names.map((name) => Number(/^(\d{4})-[a-z0-9-]+$/.exec(name)?.[1])),
    names.map((_, i) => i + 1),
  );
});

test('a migration only expands: a release that runs beside it goes on working', (t) => {
  const breaking = migrations.filter(({ breaks }) => breaks !== undefined);
  t.deepEqual(
    breaking.map(({ name }) => name),
    ['0005-registrations'],
    'none after the first release',
  );
  t.deepEqual(migrations.filter(({ breaks }) => breaks === undefined).flatMap(contractions), []);
});

for (const [what, up] of Object.entries({
  'drops a column': 'alter table users drop column name;',
  'drops a table': 'drop table users;',
  'renames a column': 'alter table users rename column name to title;',
  'changes a type': 'alter table users alter column name type varchar(10);',
  'forbids null': 'alter table users alter column name set not null;',
  'demands a new column of old inserts': 'alter table users add column title text not null;',
  'adds a rule that old rows may break': "alter table users add constraint c check (name <> '');",
  'deletes rows': 'delete from users;',
  'drops a constraint': 'alter table users drop constraint users_admin_email_key;',
  'drops a unique index': 'drop index alerts_open;',
  'drops an index that may be unique': 'drop index if exists alerts_raised, alerts_open;',
  'deletes rows in a block': 'do $$ begin delete from users; end $$;',
})) {
  test(`the rule above would catch a migration that ${what}`, (t) => {
    t.is(contractions({ name: '0002-planted', up, down: '' }).length, 1);
  });
}

/** Statements of a later migration that could break the release before it. The first one meets an empty database. */
function contractions({ name, up }: Migration): string[] {
  if (name.startsWith('0001-')) return [];
  // What is in a function runs when it is called.
  const now = up.replaceAll(/\bas \$\$.*?\$\$/gs, 'as body');
  const statements = now.split(';').map((statement) => statement.replaceAll(/\s+/g, ' ').trim());
  const forbidden = [
    // A check that takes the place of another one, as when a state is added, leaves nothing unchecked.
    /\b(drop(?! constraint (\S+), add constraint \2 )|rename|truncate|(?<!\bon )delete)\b/i,
    /\balter column \S+ (set not null|type|set data type)\b/i,
    /\badd column (?:(?!,).)*\bnot null\b(?!.*\bdefault\b)/i,
    /\badd constraint\b(?!.*\bnot valid\b)/i,
  ];
  return statements
    .filter((statement) => forbidden.some((pattern) => pattern.test(statement)))
    .filter((statement) => !dropsPlainIndex(statement))
    .map((statement) => `${name}: ${statement}`);
}

/** Statements find the same rows without an index that is not unique. */
function dropsPlainIndex(statement: string): boolean {
  const dropped = /^drop index (\w+)$/.exec(statement)?.[1];
  return migrations.some(({ up }) => up.includes(`create index ${dropped} on `));
}

async function connect(scope: Scope): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: context.databaseUrl });
  await client.connect();
  scope.teardown(() => client.end());
  return client;
}

const run = (scope: Scope, command: string) =>
  startProgram('dist/migrations/run.js', environment(context), scope, [command]);

for (const nodeEnv of ['production', 'test', undefined]) {
  test.serial(
    `a script takes the newest migration back and applies it again, NODE_ENV ${nodeEnv}`,
    async (t) => {
      for (const [args, done] of [
        [['down'], 'reverted'],
        [['up'], 'applied'],
      ] as const) {
        const { code, stdout, stderr } = await runWith(t, args, nodeEnv);
        t.deepEqual([code, stdout], [0, `${done} ${schemaVersion}\n`], stderr);
        t.is(await isApplied(), done === 'applied');
      }
    },
  );
}

test.serial('any other word is refused, and changes nothing', async (t) => {
  for (const args of [['down', '--yes'], ['up', 'down'], ['sideways'], ['--yes']]) {
    const { code, stderr } = await runWith(t, args, 'test');
    t.is(code, 64, args.join(' '));
    t.regex(stderr, /^usage: /);
  }
  t.true(await isApplied());
});

async function runWith(t: ExecutionContext, args: readonly string[], nodeEnv: string | undefined) {
  const env = environment(context, { ...productionEnvironment(), NODE_ENV: nodeEnv });
  const program = startProgram('dist/migrations/run.js', env, t, args);
  const { code } = await program.waitForExit();
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

async function isApplied(): Promise<boolean> {
  const rows = await context.rows('select from schema_migrations where name = $1', [schemaVersion]);
  return rows.length === 1;
}

let database: Database;
let columns: ColumnFacts[];
test.serial.before('read the schema', async () => {
  database = openTestDatabase(context, context.databaseUrl);
  columns = await columnsOf(context);
});

/** How a model's type is stored. */
const storedAs: ReadonlyMap<string, string> = new Map([
  [DataType.INTEGER.key, 'integer'],
  [DataType.BIGINT.key, 'bigint'],
  [DataType.TEXT.key, 'text'],
  [DataType.BOOLEAN.key, 'boolean'],
  [DataType.DATE.key, 'timestamp with time zone'],
  [DataType.UUID.key, 'uuid'],
  [DataType.JSONB.key, 'jsonb'],
  [DataType.BLOB.key, 'bytea'],
  [DataType.ARRAY.key, 'ARRAY'],
]);

const tableOf = (model: ModelStatic<Model>): string => model.tableName;

/** Tables that only SQL reads and writes: counts and states that the processes keep about themselves. */
const WITHOUT_MODEL = [
  'alert_notices',
  'alerts',
  'bulk_actions',
  'heartbeats',
  'metric_minutes',
  'processes',
  'task_runs',
];

test('every table has a model and every model a table', (t) => {
  t.deepEqual(
    [...models.map(({ tableName }) => tableName), ...WITHOUT_MODEL].toSorted(),
    [...new Set(columns.map(({ table }) => table))].toSorted(),
  );
});

for (const model of models as readonly ModelStatic<Model>[]) {
  test(`${model.name}: every column is in the model and every attribute in the table`, (t) => {
    const attributes = Object.values(model.getAttributes());
    t.deepEqual(
      attributes.map(({ field = '' }) => field).toSorted(),
      columns
        .filter(({ table }) => table === tableOf(model))
        .map(({ column }) => column)
        .toSorted(),
    );
  });

  test(`${model.name}: types and nullability agree`, (t) => {
    for (const { field, type, allowNull, primaryKey } of Object.values(model.getAttributes())) {
      const column = columns.find((each) => each.table === tableOf(model) && each.column === field);
      const name = `${tableOf(model)}.${field}`;
      const key = typeof type === 'string' ? type : type.key;
      t.is(column?.type, storedAs.get(key), name);
      t.is(column?.isNullable, allowNull !== false && primaryKey !== true, `${name} may be null`);
    }
  });

  test(`${model.name}: a row can be read through the model`, async (t) => {
    t.true(database.isDefined(model.name));
    t.deepEqual(await model.findAll({ limit: 1 }), []);
  });
}
