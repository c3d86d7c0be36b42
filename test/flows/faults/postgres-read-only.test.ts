import test from 'ava';
import pg from 'pg';
import { runCliJson } from '../../cli/run-cli.js';
import { createAdmins } from '../../helpers/admins.js';
import { createClient, type Answer } from '../../helpers/api-client.js';
import { useContext } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createMailbox } from '../../helpers/mailbox.js';
import { runApi, runWorker } from '../../helpers/servers.js';
import { bounceOf, mailObject } from '../../workers/ses-fixture.js';

const context = useContext();
const mailbox = createMailbox(context.stack);

interface Ready {
  readonly checks: Readonly<Record<string, { ok: boolean; problem?: string }>>;
}

test.serial(
  'PostgreSQL that is read-only: 503 to every write, no try is counted, and all goes on when it writes (field: supabase #32689)',
  async (t) => {
    const api = await runApi(context, { scope: t });
    const client = createClient(api.url);
    const admins = createAdmins(context, client);
    const admin = await admins.confirmedAdmin();
    const { email, password, name } = admin;
    const { email: waiting } = await admins.registerAdmin();
    await eventually(async () => (await triesOf(waiting))?.state === 'enqueued');
    const [promised] = await context.rows<{ id: string }>(
      'select id from outbox where recipient = $1',
      [waiting],
    );
    await setReadOnly('on');
    t.teardown(() => setReadOnly('off'));
    const worker = await runWorker(context, { scope: t });

    const asked: Record<string, () => Promise<Answer>> = {
      register: () => client.post('/auth/register', { email: `x-${email}`, name: 'x', password }),
      login: () => client.post('/auth/login', { email, password }),
      refresh: () => client.post('/auth/refresh', { refresh_token: admin.login.refresh_token }),
      resend: () => client.post('/auth/confirm/resend', { email: waiting }),
      forgot: () => client.post('/auth/password/forgot', { email }),
      'create a user': () => admin.client.post('/users', { email: 'a@x.test' }),
      rename: () => admin.client.put('/auth/me', { name: `${name} x` }),
      'log out': () => admin.client.post('/auth/logout'),
    };
    for (const [what, ask] of Object.entries(asked)) {
      // The sessions that were ended to make the server read-only are replaced first.
      const answer = await eventually(async () => {
        const each = (await ask()) as Answer<{ code: string }>;
        return each.status === 503 && each;
      });
      t.is(answer.body.code, 'unavailable', what);
      t.regex(answer.headers.get('retry-after') ?? '', /^\d+$/, what);
      t.notRegex(answer.text, /read-only|transaction|25006/, what);
    }
    const event = await fetch(`${worker.url}/sqs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(bounceOf(mailObject('provider-id', promised?.id), waiting)),
    });
    t.is(event.status, 503, await event.text());
    t.regex(event.headers.get('retry-after') ?? '', /^\d+$/);
    await worker.waitForLine((line) => line['message'] === 'queue rate-limited');
    for (const { url } of [api, worker]) {
      const { status, body } = await createClient(url).get<Ready>('/health/ready');
      t.is(status, 503);
      t.deepEqual(body.checks['postgres'], { ok: false, problem: 'postgres refuses writes' });
    }
    const doctor = await runCliJson(context, ['doctor']);
    t.is(doctor.code, 1);
    const found = (doctor.json['checks'] as { check: string; ok: boolean; found: string }[]).find(
      ({ check }) => check === 'postgres',
    );
    t.regex(found?.found ?? '', /^refuses writes/);
    t.deepEqual(await triesOf(waiting), { attempts: 0, state: 'enqueued' });

    await setReadOnly('off', { ending: false });
    for (const { url } of [api, worker])
      await eventually(async () => (await createClient(url).get('/health/ready')).status === 200);
    // Each session that was left on the read-only server refuses once, and is replaced.
    await eventually(
      async () => (await client.post('/auth/login', { email, password })).status === 200,
    );
    await mailbox.waitForMail(waiting);
    await eventually(async () => (await triesOf(waiting))?.state === 'settled');
    t.is((await triesOf(waiting))?.attempts, 1);
    t.is((await mailbox.mailsTo(waiting)).length, 1);
  },
);

const triesOf = async (email: string) =>
  (
    await context.rows<{ attempts: number; state: string }>(
      `select o.attempts, o.state from outbox o where o.recipient = $1`,
      [email],
    )
  )[0];

/** For all sessions that begin from now on; those that there are end, unless it is said that they stay as they are. */
async function setReadOnly(value: 'on' | 'off', { ending = true } = {}): Promise<void> {
  const client = new pg.Client({
    connectionString: context.databaseUrl,
    options: '-c default_transaction_read_only=off',
  });
  await client.connect();
  try {
    await client.query(`alter database ${context.id} set default_transaction_read_only = ${value}`);
    if (ending)
      await client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name like 'rollcall-%'`,
      );
  } finally {
    await client.end();
  }
}
