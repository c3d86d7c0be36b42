import test from 'ava';
import { createAdmins } from '../helpers/admins.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { startApi } from '../helpers/processes.js';
import {
  openStatementRecorder,
  withoutValues,
  type StatementRecorder,
} from '../helpers/statements.js';

const context = useContext();

let recorder: StatementRecorder;
let client: ApiClient;
test.serial.before('start an API whose statements are recorded', async () => {
  recorder = await openStatementRecorder(context, context.databaseUrl);
  const api = await startApi(context, { env: { DATABASE_URL: recorder.url } });
  client = createClient(api.url);
});

test.serial('S14 a login that fails asks the database the same for every address', async (t) => {
  const admins = createAdmins(context, client);
  const known = await admins.confirmedAdmin();
  const pending = await admins.registerAdmin();
  const deleted = await admins.confirmedAdmin();
  const json = { current_password: deleted.password };
  await deleted.client.request('DELETE', '/auth/me', { json });

  const statementsFor = (email: string): Promise<string[]> =>
    recorder.during(async () => {
      const { status } = await client.post('/auth/login', { email, password: 'not the password' });
      t.is(status, 401);
    });
  const unknown = await statementsFor(context.uniqueAddress('unknown'));
  t.true(
    unknown.some((sql) => /^SELECT .+ FROM "admins"/.test(sql)),
    'the admin is looked for',
  );
  t.true(
    unknown.some((sql) => sql.startsWith('INSERT INTO "audit_events"')),
    'and it is recorded',
  );
  for (const { email } of [known, pending, deleted])
    t.deepEqual(await statementsFor(email), unknown);
});

test.serial('a right password does more than a wrong one, and the recorder shows it', async (t) => {
  const { email, password } = await createAdmins(context, client).confirmedAdmin();
  const statements = await recorder.during(() => client.post('/auth/login', { email, password }));
  t.true(statements.some((sql) => sql.startsWith('INSERT INTO "sessions"')));
  t.is(statements.filter((sql) => sql === 'COMMIT;').length, 1);
  t.false(statements.join().includes(email));
});

test('a statement is compared without its values', (t) => {
  t.is(
    withoutValues(`select "t1"."a2" from t1 where b = 'it''s 5' and c in (1, 2.5) and d = $1`),
    `select "t1"."a2" from t1 where b = ? and c in (?, ?) and d = $1`,
  );
});
