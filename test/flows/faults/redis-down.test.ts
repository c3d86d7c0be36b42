import test from 'ava';
import { Redis } from 'ioredis';
import { createAdmins, mailedToken } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createMailbox } from '../../helpers/mailbox.js';
import { startWorker } from '../../helpers/processes.js';
import { runApi, runWorker } from '../../helpers/servers.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

const context = useContext();
const mailbox = createMailbox(context.stack);

/** A registration does not wait for Redis: a second and a half on a machine that is not busy, or for ever if it did. */
const PATIENCE_MS = 20_000;

for (const how of ['refuse', 'silence'] as const) {
  test.serial(
    `Redis down (${how}): everything is answered, the mails go out when it is back, and both processes end without it`,
    async (t) => {
      const { proxy, env } = await openProxy(t);
      const api = await runApi(context, { scope: t, env });
      const worker = await runWorker(context, { scope: t, env });
      const client = createClient(api.url);
      const admins = createAdmins(context, client, mailedToken(context));
      const admin = await admins.confirmedAdmin();
      await proxy[how]();

      const waiting = [admins.applicant(), admins.applicant(), admins.applicant()];
      for (const applicant of waiting) {
        const { status } = await client.post('/auth/register', applicant, {
          signal: AbortSignal.timeout(PATIENCE_MS),
        });
        t.is(status, 202);
      }
      t.is((await admin.client.post('/users', { email: 'a@x.test' })).status, 201);
      t.is((await admin.client.get('/users')).status, 200);
      t.is((await admin.client.post('/auth/logout')).status, 204);
      t.is((await client.get('/health/live')).status, 200);
      const ready = await client.get<{ checks: Record<string, { ok: boolean }> }>('/health/ready');
      t.deepEqual(
        [ready.status, ready.body.checks['redis']?.ok, ready.body.checks['postgres']?.ok],
        [503, false, true],
      );

      await proxy.restore();
      const emails = waiting.map(({ email }) => email);
      for (const email of emails) t.is((await mailbox.waitForMail(email)).envelope.to.length, 1);
      await eventually(async () => (await client.get('/health/ready')).status === 200);
      await eventually(async () => (await messagesOf(emails, 'settled')).length === emails.length);
      for (const email of emails) t.is((await mailbox.mailsTo(email)).length, 1, 'none twice');

      await proxy[how]();
      await Promise.all([api.stop(), worker.stop()]);
      for (const process of [api, worker]) {
        const messages = process.logLines().map((line) => line['message']);
        t.true(messages.includes('shutdown started'));
        t.false(messages.includes('shutdown deadline exceeded'));
      }
    },
  );

  test.serial(
    `Redis down (${how}) at the start: both processes start all the same, and work when it is there`,
    async (t) => {
      const { proxy, env } = await openProxy(t);
      await proxy[how]();
      const api = await runApi(context, { scope: t, env });
      await runWorker(context, { scope: t, env });
      const client = createClient(api.url);
      const applicant = await createAdmins(context, client).registerAdmin();
      await proxy.restore();
      t.is((await mailbox.waitForMail(applicant.email)).envelope.to.length, 1);
    },
  );
}

test.serial(
  'Redis loses all that it holds: the mails of jobs that were waiting go out',
  async (t) => {
    const { proxy, env } = await openProxy(t);
    await proxy.refuse();
    // The API cannot reach Redis: it is the relay that enqueues, so the relay has seen the data before they are gone.
    const api = await runApi(context, { scope: t, env });
    await runWorker(context, { scope: t, env: { WORKER_ROLES: 'relay' } });
    const admins = createAdmins(context, createClient(api.url));
    const waiting = [await admins.registerAdmin(), await admins.registerAdmin()];
    const emails = waiting.map(({ email }) => email);
    await eventually(async () => (await messagesOf(emails, 'enqueued')).length === waiting.length);
    const redis = new Redis(context.redisUrl);
    await redis.flushdb();
    redis.disconnect();

    await startWorker(context, { scope: t, env: { WORKER_ROLES: 'mail' } });
    for (const email of emails) t.is((await mailbox.waitForMail(email)).envelope.to.length, 1);
  },
);

async function openProxy(scope: Scope) {
  const proxy = await openTcpProxy(scope, context.redisUrl);
  return { proxy, env: { REDIS_URL: proxy.urlFor(context.redisUrl) } };
}

function messagesOf(emails: readonly string[], state: string): Promise<object[]> {
  return context.rows(`select o.id from outbox o where o.recipient = any($1) and o.state = $2`, [
    emails,
    state,
  ]);
}
