import test from 'ava';
import pg from 'pg';
import type { Login } from '../helpers/admins.js';
import { createClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { startApi } from '../helpers/processes.js';

const context = useSharedContext('api');
const api = useApi(context);

test('S36 the API is killed between the commit of a refresh and its answer: the retry gets the same successor', async (t) => {
  const doomed = await startApi(context, { scope: t });
  const admin = await api.admins.confirmedAdmin();
  const token = { refresh_token: admin.login.refresh_token };
  const gate = await closeCommitGate(t, admin.id);

  const lost = createClient(doomed.url)
    .post('/auth/refresh', token)
    .then(
      () => 'answered',
      () => 'lost',
    );
  await eventually(gate.isWaitedAt);
  // Frozen, it cannot learn that its commit has gone through.
  doomed.send('SIGSTOP');
  await gate.open();
  await eventually(async () => (await generationOf(admin.id)) === 1);
  await doomed.kill();
  t.is(await lost, 'lost');

  const first = await api.client.post<Login>('/auth/refresh', token);
  const again = await api.client.post<Login>('/auth/refresh', token);
  t.deepEqual([first.status, again.status], [200, 200]);
  t.is(again.body.refresh_token, first.body.refresh_token);
  t.is(await generationOf(admin.id), 1, 'it is the successor that the killed one had made');
  t.is((await api.client.as(first.body.access_token).get('/auth/me')).status, 200);
  const next = { refresh_token: first.body.refresh_token };
  t.is((await api.client.post('/auth/refresh', next)).status, 200);
});

async function generationOf(adminId: number): Promise<number | undefined> {
  const [row] = await context.rows<{ generation: number }>(
    'select refresh_generation as generation from sessions where admin_id = $1',
    [adminId],
  );
  return row?.generation;
}

/** Until it is opened, whoever has changed a session of the admin waits inside of the commit. */
async function closeCommitGate(scope: Scope, adminId: number) {
  const keeper = new pg.Client({ connectionString: context.databaseUrl });
  await keeper.connect();
  scope.teardown(() => keeper.end());
  await keeper.query('select pg_advisory_lock(1)');
  await keeper.query(`
    create function wait_at_gate() returns trigger language plpgsql
      as 'begin perform pg_advisory_xact_lock_shared(1); return null; end';
    create constraint trigger wait_at_gate after update on sessions
      deferrable initially deferred for each row when (new.admin_id = ${adminId}) execute function wait_at_gate();
  `);
  return {
    async isWaitedAt(): Promise<boolean> {
      const { rowCount } = await keeper.query(
        `select from pg_locks where locktype = 'advisory' and not granted
          and database = (select oid from pg_database where datname = current_database())`,
      );
      return rowCount === 1;
    },
    async open(): Promise<void> {
      await keeper.query('select pg_advisory_unlock(1)');
    },
  };
}
