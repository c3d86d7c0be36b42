import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Redis } from 'ioredis';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../../../dev/emulators/firehose/firehose-endpoint.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { runCliJson } from '../../cli/run-cli.js';
import { createAdmins, mailedToken } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createFirehoseReader } from '../../helpers/firehose.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { createMailbox } from '../../helpers/mailbox.js';
import { openOwnRedis, openRedisCluster } from '../../helpers/own-redis.js';
import { startWorker } from '../../helpers/processes.js';
import { runApi, runWorker } from '../../helpers/servers.js';
import { openSmtpServer } from '../../helpers/smtp-server.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';
import { createSpoolFixture } from '../../shared/log-shipping/spool-fixture.js';

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
      const sweep = await fetch(`${worker.url}/tasks/sweep-outbox`, { method: 'POST' });
      t.deepEqual([sweep.status, sweep.headers.get('retry-after')], [503, '5']);

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

const MEBIBYTE = 1_024 * 1_024;
const LINES = 240;
/** Random bytes: no compression makes the flood smaller. 30 MiB in all, of which Redis may take 19. */
const LINE_BYTES = MEBIBYTE / 8;
const MAILS = 10;

test.serial(
  'a Redis of 32 MB that is flooded with logs never stops the mails, and drains by itself',
  async (t) => {
    t.timeout(240_000);
    const redis = await openOwnRedis(t, { maxMemory: '32mb' });
    const firehose = await openOwnFirehose(t);
    firehose.setFaults({ mode: 'unavailable' });
    const smtp = await openSmtpServer(t);
    const env = {
      ...smtp.env,
      REDIS_URL: redis.url,
      AWS_ENDPOINT_URL_FIREHOSE: firehose.url,
    };
    const api = await runApi(context, { scope: t, env });
    await runWorker(context, { scope: t, env });

    const { segments, flood } = await openFlood(t, redis.url);
    flood();
    await eventually(async () => (await redis.usedShare()) > 0.5);

    const admins = createAdmins(context, createClient(api.url));
    await Promise.all(Array.from({ length: MAILS }, () => admins.registerAdmin()));
    await eventually(() => smtp.taken.length === MAILS);
    const share = await redis.usedShare();
    t.true(share > 0.5 && share < 0.75, `${share} of the memory is used`);
    t.true((await segments()).length > 0, 'the rest of the flood waits on disk');

    firehose.resetFaults();
    // Reading them all is slow: not before there can be enough.
    await eventually(
      async () => firehose.stats().records >= LINES && (await arrived(firehose)) === LINES,
      { withinMs: 110_000, of: 'every line of the flood arriving' },
    );
    await eventually(async () => (await redis.usedShare()) < 0.3);
    t.is(firehose.stats().refused_calls, 0);
  },
);

/** A process that has far more to log than Redis can take. */
async function openFlood(scope: Scope, redisUrl: string) {
  const stage = await createSpoolFixture(scope);
  const opened = stage.open({ maxBytes: 512 * MEBIBYTE });
  const queues = openQueues({ url: redisUrl, logsUrl: redisUrl }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  opened.ship({
    queue: queues.logs,
    receipts: queues.receipts,
    room: queues.room.logs,
  });
  return {
    segments: stage.segments,
    flood() {
      for (let number = 1; number <= LINES; number++) {
        const noise = randomBytes((LINE_BYTES * 3) / 4).toString('base64');
        opened.spool.write(`${JSON.stringify({ flood: number, noise })}\n`);
      }
    },
  };
}

const arrived = async (firehose: FirehoseEndpoint): Promise<number> => {
  const records = await firehose.records(context.streamName);
  return new Set(records.map(({ document }) => document?.['flood']).filter(Boolean)).size;
};

async function openOwnFirehose(scope: Scope) {
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-firehose-'));
  scope.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const firehose = await openFirehoseEndpoint({ dataDir, port: 0, host: '127.0.0.1' });
  scope.teardown(() => firehose.close());
  return firehose;
}

interface Ready {
  readonly checks: Readonly<Record<string, { ok: boolean; problem?: string }>>;
}

test.serial(
  'a node of a cluster is refused at the start, by readiness and by doctor; registrations go on (field: bullmq #1631)',
  async (t) => {
    const { logsUrl } = await openRedisCluster(t);
    const env = { REDIS_URL: logsUrl };
    const processes = [
      await runApi(context, { scope: t, env }),
      await runWorker(context, { scope: t, env }),
    ] as const;
    const problem = 'is a cluster: not supported, use a single shard';
    for (const { url, waitForLine } of processes) {
      const line = await waitForLine(({ message }) => message === 'Redis misconfigured');
      t.is(line['event.reason'], `it ${problem}`);
      await eventually(async () => {
        const { status, body } = await createClient(url).get<Ready>('/health/ready');
        return status === 503 && body.checks['redis']?.problem === `redis ${problem}`;
      });
    }
    await createAdmins(context, createClient(processes[0].url)).registerAdmin();
    const { code, json } = await runCliJson(context, ['doctor'], env);
    t.is(code, 1);
    const found = (json['checks'] as { check: string; found: string }[]).filter(
      ({ check }) => check === 'redis',
    );
    t.deepEqual(
      found.map((each) => each.found),
      [problem],
    );
    await context.rows('delete from outbox');
  },
);

test.serial(
  'a Redis of the mails that refuses writes is red until a mail has gone, however many log batches go (field: bull #1928)',
  async (t) => {
    const redis = await openOwnRedis(t, { maxMemory: '64mb' });
    const smtp = await openSmtpServer(t);
    const env = { ...smtp.env, REDIS_URL: redis.url, REDIS_URL_LOGS: context.redisUrl };
    const api = await runApi(context, { scope: t, env });
    const worker = await runWorker(context, { scope: t, env });
    const client = createClient(api.url);
    const readyOf = async (url: string) => createClient(url).get<Ready>('/health/ready');
    for (const { url } of [api, worker])
      await eventually(async () => (await readyOf(url)).status === 200);

    await redis.client.config('SET', 'min-replicas-to-write', '1');
    const { email } = await createAdmins(context, client).registerAdmin();
    const refused = 'redis refuses commands: NOREPLICAS (it has too few replicas)';
    const firehose = createFirehoseReader(context);
    for (let batches = 0; batches < 3; batches++) {
      const { requestId } = await client.get('/health/live');
      await firehose.waitForRecord((record) => record['http.request.id'] === requestId);
      for (const { url } of [api, worker]) {
        const { status, body } = await readyOf(url);
        t.is(status, 503);
        t.deepEqual(body.checks['redis'], { ok: false, problem: refused });
        t.true(body.checks['redis_logs']?.ok);
      }
    }
    const doctor = await runCliJson(context, ['doctor'], env);
    t.is(doctor.code, 1);
    t.regex(doctor.stdout, /refuses commands: NOREPLICAS/);

    await redis.client.config('SET', 'min-replicas-to-write', '0');
    await eventually(() => smtp.taken.length === 1, { of: `the mail to ${email}` });
    for (const { url } of [api, worker])
      await eventually(async () => (await readyOf(url)).status === 200);
  },
);
