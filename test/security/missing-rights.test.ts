import test from 'ava';
import { apiGrants, workerGrants } from '../../dev/documents/least-privilege.js';
import { apiRights, findMissingRights, workerRights } from '../../shared/database/rights.js';
import { runCli } from '../cli/run-cli.js';
import { createClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { makeDatabaseRole } from '../helpers/database-role.js';
import { eventually } from '../helpers/eventually.js';
import { startApi, startWorker } from '../helpers/processes.js';

const context = useContext();

interface Told {
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly problem?: string }>>;
}

for (const [service, rights, grants] of [
  ['API', apiRights, apiGrants],
  ['worker', workerRights, workerGrants],
] as const) {
  test.serial(`S79 the rights of the ${service} are those of its grants`, async (t) => {
    const { statements } = openTestDatabase(t, await makeDatabaseRole(t, context, grants));
    t.deepEqual(await findMissingRights(statements, rights), []);
    await context.rows(`revoke delete on suppressions, alerts from ${context.id}`);
    t.deepEqual(await findMissingRights(statements, rights), [
      'delete on suppressions',
      'delete on alerts',
    ]);
  });
}

test.serial('S79 who owns the tables lacks nothing, and nothing that is not there', async (t) => {
  const { statements } = openTestDatabase(t, context.databaseUrl);
  t.deepEqual(await findMissingRights(statements, workerRights), []);
  const later = { tables: [{ on: ['later'], select: ['id'], insert: 'all' }] } as const;
  t.deepEqual(await findMissingRights(statements, { ...later, functions: ['later()'] }), []);
  const newer = { tables: [{ on: ['admins'], select: ['later'] }], functions: [] };
  t.deepEqual(await findMissingRights(statements, newer), []);
});

for (const [service, start, grants, revoked, lacking] of [
  [
    'a worker',
    startWorker,
    workerGrants,
    ['update (pending_email, updated_at) on admins', 'execute on function drop_old_audit_months()'],
    'update (pending_email, updated_at) on admins; execute on drop_old_audit_months()',
  ],
  [
    'an API',
    startApi,
    apiGrants,
    ['select, insert, update, delete on bulk_actions, heartbeats'],
    'select on bulk_actions; insert on bulk_actions; update on bulk_actions; delete on bulk_actions; select on heartbeats; 3 more',
  ],
] as const) {
  test.serial(
    `S79 ${service} with the grants of an earlier version names what it lacks, and is ready once it is granted`,
    async (t) => {
      const databaseUrl = await makeDatabaseRole(t, context, grants);
      for (const right of revoked) await context.rows(`revoke ${right} from ${context.id}`);
      const { url } = await start(context, { scope: t, env: { DATABASE_URL: databaseUrl } });
      const ready = () => createClient(url).get<Told>('/health/ready');
      const problem = `the role in PostgreSQL lacks ${lacking}`;

      const { status, body } = await ready();
      t.is(status, 503);
      t.deepEqual(body.checks['rights'], { ok: false, problem });
      await eventually(
        async () => {
          const { stdout } = await runCli(context, ['doctor']);
          return stdout.includes(`A role in PostgreSQL lacks rights: ${problem}`);
        },
        { of: 'the doctor telling of the rights' },
      );

      for (const grant of grants(context.id)) await context.rows(grant);
      await eventually(async () => (await ready()).body.checks['rights']?.ok, { of: 'the rights' });
      t.is((await ready()).status, 200);
    },
  );
}
