import test from 'ava';
import { runCliJson } from '../../cli/run-cli.js';
import { createAdmins } from '../../helpers/admins.js';
import { createClient, type Answer } from '../../helpers/api-client.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { IMPATIENT } from '../../helpers/env.js';
import { eventually } from '../../helpers/eventually.js';
import { createMailbox } from '../../helpers/mailbox.js';
import { startWorker } from '../../helpers/processes.js';
import { setReadOnly } from '../../helpers/read-only.js';
import { runApi, runWorker } from '../../helpers/servers.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';
import { bounceOf, mailObject } from '../../workers/ses-fixture.js';

shareProcess();

const context = useContext();
const mailbox = createMailbox(context.stack);

/** The promise is less than three seconds, for a machine that is not busy; unbounded, no answer would ever come. */
const PATIENCE_MS = 20_000;

for (const how of ['refuse', 'silence'] as const) {
  test.serial(
    `PostgreSQL down (${how}): 503 with Retry-After instead of waiting, and it recovers by itself`,
    async (t) => {
      const proxy = await openTcpProxy(t, context.databaseUrl);
      const api = await runApi(context, {
        scope: t,
        env: { ...IMPATIENT, DATABASE_URL: proxy.urlFor(context.databaseUrl) },
      });
      const client = createClient(api.url);
      const admin = await createAdmins(context, client).confirmedAdmin();
      const { email, password, name } = admin;
      // Requests at once, so that each of those below finds an open connection, as in the middle of a day.
      await Promise.all(Array.from({ length: 10 }, () => admin.client.get('/users')));
      await proxy[how]();

      const patience = () => ({ signal: AbortSignal.timeout(PATIENCE_MS) });
      const post = (path: string, json: unknown) => () => client.post(path, json, patience());
      const asked: Record<string, () => Promise<Answer>> = {
        refresh: post('/auth/refresh', { refresh_token: admin.login.refresh_token }),
        confirm: post('/auth/confirm', {
          token: `ct_${'0'.repeat(32)}_${'A'.repeat(43)}`,
          password,
        }),
        resend: post('/auth/confirm/resend', { email }),
        register: post('/auth/register', { email: `x-${email}`, name: `${name} x`, password }),
        login: post('/auth/login', { email, password }),
        'list users': () => admin.client.get('/users', patience()),
        'create a user': () => admin.client.post('/users', { email: 'a@x.test' }, patience()),
        'log out': () => admin.client.post('/auth/logout', undefined, patience()),
      };
      const answers = Object.entries(asked).map(([what, ask]) => answerInTime(what, ask));
      for (const answer of await Promise.all(answers)) {
        t.is(answer.status, 503);
        t.is(answer.body.code, 'unavailable');
        t.regex(answer.headers.get('retry-after') ?? '', /^\d+$/);
        t.notRegex(answer.text, /ECONN|sequelize|postgres|timeout|127\.0\.0\.1/i);
      }
      t.is((await client.get('/health/live')).status, 200);
      const ready = await client.get<{ checks: Record<string, { ok: boolean }> }>(
        '/health/ready',
        patience(),
      );
      t.deepEqual(
        [ready.status, ready.body.checks['postgres']?.ok, ready.body.checks['redis']?.ok],
        [503, false, true],
      );

      await proxy.restore();
      await eventually(async () => (await client.get('/health/ready')).status === 200);
      t.is((await admin.client.get('/users')).status, 200, 'the session outlived the outage');
      t.is((await admin.client.post('/auth/logout')).status, 204);

      await proxy[how]();
      await t.notThrowsAsync(api.stop(), 'it ends without the database');
    },
  );

  test.serial(
    `PostgreSQL down (${how}): the worker waits for it, then sends what was promised, once`,
    async (t) => {
      const proxy = await openTcpProxy(t, context.databaseUrl);
      const api = await runApi(context, { scope: t });
      // It finds the mail if Redis does not answer the API in time.
      await runWorker(context, { scope: t, env: { WORKER_ROLES: 'relay' } });
      const worker = await startWorker(context, {
        scope: t,
        env: { ...IMPATIENT, DATABASE_URL: proxy.urlFor(context.databaseUrl) },
      });
      await proxy[how]();
      const applicant = await createAdmins(context, createClient(api.url)).registerAdmin();
      await worker.waitForLine((line) => line['message'] === 'queue throttled', {
        of: 'the worker meeting the outage',
      });
      await proxy.restore();
      await mailbox.waitForMail(applicant.email);
      const [row] = await eventually(async () => {
        const rows = await context.rows(
          `select o.outcome from outbox o where o.recipient = $1 and o.state = 'settled'`,
          [applicant.email],
        );
        return rows.length > 0 && rows;
      });
      t.is(row?.['outcome'], 'sent');
      t.is((await mailbox.mailsTo(applicant.email)).length, 1);

      await proxy[how]();
      await t.notThrowsAsync(worker.stop(), 'it ends without the database');
    },
  );
}

test.serial(
  'PostgreSQL down at the start: the API starts, and serves when it is there',
  async (t) => {
    const proxy = await openTcpProxy(t, context.databaseUrl);
    await proxy.refuse();
    const api = await runApi(context, {
      scope: t,
      env: { ...IMPATIENT, DATABASE_URL: proxy.urlFor(context.databaseUrl) },
    });
    const client = createClient(api.url);
    t.is((await client.get('/health/ready')).status, 503);
    await proxy.restore();
    await eventually(async () => (await client.get('/health/ready')).status === 200);
    t.truthy(await createAdmins(context, client).confirmedAdmin());
  },
);

test.serial(
  'without the newest migration the service says that it is not ready, and why',
  async (t) => {
    const api = await runApi(context, { scope: t });
    const client = createClient(api.url);
    await context.rows(`create table kept as table schema_migrations`);
    await context.rows(`delete from schema_migrations`);
    const { status, body } = await client.get<{
      checks: Record<string, { ok: boolean; problem?: string }>;
    }>('/health/ready');
    t.deepEqual(
      [status, body.checks['migrations']],
      [503, { ok: false, problem: 'migrations are pending' }],
    );
    await context.rows(`insert into schema_migrations table kept`);
    await context.rows('drop table kept');
    await eventually(async () => (await client.get('/health/ready')).status === 200);
  },
);

/** @throws naming the request, when the client's patience ends first. */
async function answerInTime(
  what: string,
  ask: () => Promise<Answer>,
): Promise<Answer<{ code: string }>> {
  try {
    return (await ask()) as Answer<{ code: string }>;
  } catch (error) {
    throw new Error(`${what} was not answered within ${PATIENCE_MS} ms`, { cause: error });
  }
}

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
    await setReadOnly(context, 'on');
    t.teardown(() => setReadOnly(context, 'off'));
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
    await worker.waitForLine((line) => line['message'] === 'queue throttled');
    for (const { url } of [api, worker]) {
      // A machine that is slow enough is told of as a PostgreSQL that is.
      await eventually(async () => {
        const { status, body } = await createClient(url).get<Ready>('/health/ready');
        t.is(status, 503);
        return body.checks['postgres']?.problem === 'postgres refuses writes';
      });
    }
    const doctor = await runCliJson(context, ['doctor']);
    t.is(doctor.code, 1);
    const found = (doctor.json['checks'] as { check: string; ok: boolean; found: string }[]).find(
      ({ check }) => check === 'postgres',
    );
    t.regex(found?.found ?? '', /^refuses writes/);
    t.deepEqual(await triesOf(waiting), { attempts: 0, state: 'enqueued' });

    await setReadOnly(context, 'off', { ending: false });
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
