import test from 'ava';
import pg from 'pg';
import { commonChecks, readiness } from '../../shared/health/readiness.js';
import { runCliJson } from '../cli/run-cli.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { environment } from '../helpers/env.js';
import { startProgram } from '../helpers/processes.js';

shareProcess();

const context = useContext();
const PROBLEM = `has a locale in which lower('I') is not 'i'`;
let databaseUrl: string;

test.serial.before('a database with Turkish rules', async () => {
  const name = `${context.id}_tr`;
  await context.rows(
    `create database ${name} template template0 encoding 'UTF8' locale_provider icu icu_locale 'tr' locale 'C.UTF-8'`,
  );
  context.teardown(() => context.rows(`drop database ${name} with (force)`));
  databaseUrl = Object.assign(new URL(context.databaseUrl), { pathname: `/${name}` }).href;
});

test.serial('migrations refuse it before they change anything', async (t) => {
  const run = async (command: string) => {
    const env = environment(context, { DATABASE_URL: databaseUrl });
    const program = startProgram('dist/migrations/run.js', env, t, [command]);
    const { code } = await program.waitForExit();
    return { code, stdout: program.stdout(), stderr: program.stderr() };
  };
  const up = await run('up');
  t.deepEqual([up.code, up.stdout], [1, '']);
  t.true(up.stderr.startsWith(`The database ${PROBLEM}. Create another database`), up.stderr);
  t.is((await run('status')).code, 0);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query(`select from pg_class where relname = 'schema_migrations'`);
  await client.end();
  t.is(rows.length, 0);
});

test.serial('doctor says what is wrong and what to do', async (t) => {
  const { code, json } = await runCliJson(context, ['doctor'], { DATABASE_URL: databaseUrl });
  t.is(code, 1);
  const checks = json['checks'] as { check: string; found: string; advice?: string }[];
  const postgres = checks.find(({ check }) => check === 'postgres');
  t.is(postgres?.found, `it ${PROBLEM}`);
  t.regex(postgres?.advice ?? '', /^Create another database/);
});

test.serial('no process is ready with it', async (t) => {
  const database = openTestDatabase(t, databaseUrl);
  const queues = {
    redisNames: [],
    ping: () => Promise.resolve(),
    mail: { pauseOf: () => Promise.resolve(undefined) },
  };
  const { postgres } = commonChecks(database, queues);
  const { checks } = await readiness({ ...(postgres && { postgres }) }, () => false);
  t.deepEqual(checks['postgres'], { ok: false, problem: `postgres ${PROBLEM}` });
});
