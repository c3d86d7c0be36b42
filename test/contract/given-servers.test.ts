import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readDevEnv } from '../../dev/env.js';
import { checkGivenDatabase, checkGivenRedis } from '../../dev/stack/given-servers.js';
import { claimPort, loopback } from '../../dev/stack/processes/ports.js';
import { loadToolConfig } from '../../shared/config/config.js';
import { createSingleClient } from '../../shared/database/single-client.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';

shareProcess();

const context = useContext();

const databaseAt = (url: string) =>
  loadToolConfig(environment(context, { DATABASE_URL: url })).database;

test.serial(
  'a database that Rollcall has migrated may be given, whatever else it holds',
  async (t) => {
    await context.rows('create table projects (id int)');
    t.teardown(() => context.rows('drop table projects'));
    await t.notThrowsAsync(checkGivenDatabase(databaseAt(context.databaseUrl)));
  },
);

test.serial(
  'a database with tables of another project is refused, and nothing is changed',
  async (t) => {
    const name = `${context.id}_other`;
    await context.rows(`create database ${name}`);
    t.teardown(() => context.rows(`drop database ${name}`));
    const config = databaseAt(Object.assign(new URL(context.databaseUrl), { pathname: name }).href);
    const inOther = (sql: string) => runThere(config, sql);

    await t.notThrowsAsync(checkGivenDatabase(config), 'an empty one is not');
    await inOther('create table schema_migrations (name text primary key, applied_at timestamptz)');
    await t.notThrowsAsync(checkGivenDatabase(config), 'nor one whose migrations are all reverted');
    await inOther('drop table schema_migrations; create table projects (id int)');
    const expected =
      /^DATABASE_URL names the database \w+_other on \S+, .*\(projects\).* unset DATABASE_URL/;
    await t.throwsAsync(checkGivenDatabase(config), { message: expected });
    await inOther(
      `create table schema_migrations (version bigint); insert into schema_migrations values (20240101)`,
    );
    await t.throwsAsync(checkGivenDatabase(config), {
      message: /\(projects, schema_migrations\) but/,
    });
    t.is(await inOther('select * from pg_tables where schemaname = current_schema()'), 2);
  },
);

test('servers that are down are named by variable and address, without the password', async (t) => {
  const { port, release } = await claimPort(0);
  t.teardown(release);
  const address = `rollcall:a-password@${loopback}:${port}`;
  const database = databaseAt(`postgres://${address}/other`);
  for (const [checked, name] of [
    [checkGivenDatabase(database), 'DATABASE_URL'],
    [checkGivenRedis(`redis://${address}/0`), 'REDIS_URL'],
  ] as const) {
    const { message } = (await t.throwsAsync(checked)) ?? { message: '' };
    t.regex(
      message,
      new RegExp(`^${name} names .*${loopback}:${port}, .*ECONNREFUSED.* unset ${name}`),
    );
    t.false(message.includes('a-password'));
  }
});

test('npm run dev says which servers it is given, and starts none where one of them is down', async (t) => {
  const { port, release } = await claimPort(0);
  t.teardown(release);
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-given-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const env = {
    PATH: readDevEnv().searchPath.join(':'),
    DEV_DATA_DIR: dataDir,
    DATABASE_URL: context.databaseUrl,
    REDIS_URL: `redis://${loopback}:${port}`,
  };
  const dev = startProgram('dist/dev/scripts/dev.js', env, t);
  t.is((await dev.waitForExit()).code, 1, dev.stderr());
  t.regex(dev.stdout(), /^Using DATABASE_URL and REDIS_URL from the environment\.\n/);
  t.regex(dev.stdout(), /REDIS_URL names the Redis on .+ECONNREFUSED/);
  t.deepEqual((await readdir(dataDir)).toSorted(), ['logs', 'run', 'secrets.json']);
});

test('a Redis that answers may be given', async (t) => {
  await t.notThrowsAsync(checkGivenRedis(context.redisUrl));
});

/** Runs a statement, and resolves to how many rows it returned. */
async function runThere(
  config: ReturnType<typeof databaseAt>,
  sql: string,
): Promise<number | null> {
  const client = createSingleClient(config, 'test');
  await client.connect();
  try {
    return (await client.query(sql)).rowCount;
  } finally {
    await client.end();
  }
}
