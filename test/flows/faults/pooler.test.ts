import test from 'ava';
import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import { isDatabaseUnavailable } from '../../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../../shared/database/transaction.js';
import { workerRoles } from '../../../shared/queues/registry.js';
import { runCliJson } from '../../cli/run-cli.js';
import { createAdmins } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { environment } from '../../helpers/env.js';
import { eventually } from '../../helpers/eventually.js';
import { createMailbox } from '../../helpers/mailbox.js';
import { openPooler } from '../../helpers/pooler.js';
import { startProgram } from '../../helpers/processes.js';
import { runApi, runWorker } from '../../helpers/servers.js';

shareProcess();

const context = useContext();
const mailbox = createMailbox(context.stack);

test.serial(
  'behind PgBouncer in transaction mode, as it comes, both processes work (field: logto #8065)',
  async (t) => {
    const env = { DATABASE_URL: await openPooler(t, context) };
    const [api, worker] = [
      await runApi(context, { scope: t, env }),
      await runWorker(context, { scope: t, env }),
    ];
    const admins = createAdmins(context, createClient(api.url));
    const registered = await Promise.all(Array.from({ length: 15 }, () => admins.registerAdmin()));
    await Promise.all(registered.map(({ email }) => mailbox.waitForMail(email)));
    const admin = await admins.confirmedAdmin();
    t.is((await admin.client.post('/users', { email: 'a@x.test' })).status, 201);
    t.is((await admin.client.get('/users')).status, 200);
    const { refresh_token } = admin.login;
    t.is((await createClient(api.url).post('/auth/refresh', { refresh_token })).status, 200);
    for (const task of ['sweep-outbox', 'purge-expired', 'rotate-audit']) {
      const answer = await fetch(`${worker.url}/tasks/${task}`, { method: 'POST' });
      t.is(answer.status, 200, `${task}: ${await answer.text()}`);
    }
    for (const { url } of [api, worker])
      await eventually(async () => (await createClient(url).get('/health/ready')).status === 200);
  },
);

test.serial(
  'behind a pooler a transaction has the server’s time-outs, and leaves none behind',
  async (t) => {
    const database = openTestDatabase(t, await openPooler(t, context, { poolSize: 1 }), {
      timeoutMs: 1_000,
      poolMax: 2,
    });
    t.deepEqual(await withTransaction(database, (tx) => timeoutsOf(database, tx)), {
      statement: '1s',
      idle: '10s',
    });
    t.deepEqual(await timeoutsOf(database), { statement: '0', idle: '0' });
    const failure = await t.throwsAsync(
      withTransaction(database, (tx) => database.query('select pg_sleep(30)', { transaction: tx })),
      { message: /statement timeout/ },
    );
    t.true(isDatabaseUnavailable(failure));
    const single = await t.throwsAsync(database.query('select pg_sleep(30)'));
    t.true(isDatabaseUnavailable(single));
  },
);

test.serial(
  'in a session of its own every statement has them, in a transaction or not',
  async (t) => {
    const database = openTestDatabase(t, context.databaseUrl, { timeoutMs: 1_000 });
    t.deepEqual(await timeoutsOf(database), { statement: '1s', idle: '10s' });
  },
);

test.serial(
  'behind a pooler migrations run, many at once too, whatever time-out the role has',
  async (t) => {
    await context.rows(
      `alter role current_user in database ${context.id} set statement_timeout = 1`,
    );
    const url = await openPooler(t, context, { poolSize: 5 });
    const run = async (command: string): Promise<string> => {
      const env = environment(context, { DATABASE_URL: url });
      const program = startProgram('dist/migrations/run.js', env, t, [command]);
      t.deepEqual(await program.waitForExit(), { code: 0, signal: null }, program.stderr());
      return program.stdout();
    };
    t.regex(await run('down'), /^reverted /);
    t.regex(await run('down'), /^reverted /);
    const outputs = await Promise.all(['up', 'up', 'up'].map(run));
    t.is(outputs.join('').match(/^applied /gm)?.length, 2);
    await context.rows(`alter role current_user in database ${context.id} reset statement_timeout`);
  },
);

test.serial(
  'doctor tells that the time-out of single statements did not take effect, and how it does',
  async (t) => {
    await context.rows(
      `insert into processes (id, service, host, pid, version, roles, seen_at)
       values (gen_random_uuid(), 'rollcall-worker', 'host', 1, '1', '{${workerRoles.join()}}', now() + interval '1 hour')`,
    );
    const env = { DATABASE_URL: await openPooler(t, context) };
    const without = await runCliJson(context, ['doctor'], env);
    t.is(without.code, 1);
    const [complaint, ...others] = problemsIn(without.json);
    t.deepEqual(others, []);
    t.regex(complaint?.found ?? '', /^statement_timeout did not take effect/);
    const [, statement = ''] = /`(alter role [^`]+)`/.exec(complaint?.advice ?? '') ?? [];
    await context.rows(statement);
    const reopened = { DATABASE_URL: await openPooler(t, context) };
    t.deepEqual(problemsIn((await runCliJson(context, ['doctor'], reopened)).json), []);
    await context.rows(`alter role current_user in database ${context.id} reset statement_timeout`);
  },
);

interface Finding {
  readonly ok: boolean;
  readonly found: string;
  readonly advice?: string;
}

const problemsIn = (json: Readonly<Record<string, unknown>>): Finding[] =>
  (json['checks'] as Finding[]).filter(({ ok }) => !ok);

async function timeoutsOf(database: Database, tx?: Transaction) {
  const [row] = await database.query<{ statement: string; idle: string }>(
    `select current_setting('statement_timeout') as statement,
            current_setting('idle_in_transaction_session_timeout') as idle`,
    { type: QueryTypes.SELECT, transaction: tx ?? null },
  );
  return row;
}
