import test from 'ava';
import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import { loadToolConfig } from '../../../shared/config/config.js';
import { createSingleClient } from '../../../shared/database/single-client.js';
import { createAdmins } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { environment } from '../../helpers/env.js';
import { eventually } from '../../helpers/eventually.js';
import { openPooler } from '../../helpers/pooler.js';
import { startProgram } from '../../helpers/processes.js';
import { runApi } from '../../helpers/servers.js';

shareProcess();

const context = useContext();

const settings = {
  datestyle: 'German, DMY',
  intervalstyle: 'sql_standard',
  timezone: 'Asia/Kathmandu',
  standard_conforming_strings: 'off',
  bytea_output: 'escape',
  extra_float_digits: '0',
  client_encoding: 'LATIN1',
} as const;

test.serial.before('a database with settings of its own', async () => {
  for (const [name, value] of Object.entries(settings))
    await context.rows(`alter database ${context.id} set ${name} = '${value}'`);
});

const FOUND = `select timestamptz '2026-03-04T05:06:07.008Z' as at, current_setting('datestyle') as style,
                      current_setting('timezone') as zone, 'a\\b' as text`;
const expected = {
  at: new Date('2026-03-04T05:06:07.008Z'),
  style: 'ISO, MDY',
  zone: 'UTC',
  text: String.raw`a\b`,
};

async function looksUsual(database: Database): Promise<readonly unknown[]> {
  const [ofModels] = await database.query(FOUND, { type: QueryTypes.SELECT });
  const [ofStatements] = await database.statements.run({ name: 'found', text: FOUND }, []);
  return [ofModels, ofStatements];
}

test.serial('settings of the database change nothing of what is read', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const [ofModels, ofStatements] = await looksUsual(database);
  t.like(ofStatements, expected);
  t.like(ofModels, { ...expected, zone: '<+00>-00' });
});

test.serial('neither do they behind a connection pooler', async (t) => {
  const database = openTestDatabase(t, await openPooler(t, context));
  for (const found of await looksUsual(database)) t.like(found, { at: expected.at, text: 'a\\b' });
});

test.serial('variables of libpq, meant for other programs, change nothing either', async (t) => {
  const variables = {
    PGOPTIONS: '-c no_such_setting=1',
    PGREPLICATION: 'database',
    PGSSLMODE: 'require',
    PGSSLNEGOTIATION: 'direct',
    PGAPPNAME: 'another program',
    PGHOST: 'db.invalid',
    PGPASSWORD: 'wrong',
  };
  const { database } = loadToolConfig(environment(context));
  Object.assign(process.env, variables);
  const client = createSingleClient(database, 'test');
  for (const name of Object.keys(variables)) delete process.env[name];
  await client.connect();
  t.teardown(() => client.end());
  const name = 'application_name';
  const { rows } = await client.query('select current_setting($1) as name', [name]);
  t.deepEqual(rows, [{ name: 'test' }]);
});

test.serial('with such settings people log in, and migrations tell their times', async (t) => {
  const api = await runApi(context, { scope: t });
  const admins = createAdmins(context, createClient(api.url));
  const admin = await admins.confirmedAdmin();
  const { status, body } = await admin.client.get<{ created_at: string }[]>('/auth/sessions');
  t.is(status, 200);
  t.true(Math.abs(Date.parse(body[0]?.created_at ?? '') - Date.now()) < 300_000);
  t.is((await admin.client.post('/users', { email: 'a@x.test' })).status, 201);
  t.is((await admin.client.get('/users')).status, 200);
  await eventually(async () => (await createClient(api.url).get('/health/ready')).status === 200);

  const program = startProgram('dist/migrations/run.js', environment(context), t, ['status']);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null }, program.stderr());
  for (const line of program.stdout().trimEnd().split('\n'))
    t.regex(line, /^\S+ {2}\d{4}-\d\d-\d\dT/);
});
