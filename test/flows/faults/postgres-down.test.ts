import test from 'ava';
import { createAdmins } from '../../helpers/admins.js';
import { createClient, type Answer } from '../../helpers/api-client.js';
import { useContext } from '../../helpers/context.js';
import { IMPATIENT } from '../../helpers/env.js';
import { eventually } from '../../helpers/eventually.js';
import { createMailbox } from '../../helpers/mailbox.js';
import { startWorker } from '../../helpers/processes.js';
import { runApi } from '../../helpers/servers.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

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
      const worker = await startWorker(context, {
        scope: t,
        env: { ...IMPATIENT, DATABASE_URL: proxy.urlFor(context.databaseUrl) },
      });
      await proxy[how]();
      const applicant = await createAdmins(context, createClient(api.url)).registerAdmin();
      await worker.waitForLine((line) => line['message'] === 'queue rate-limited', {
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
    t.is((await client.get('/health/ready')).status, 200);
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
