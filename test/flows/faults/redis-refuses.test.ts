import test from 'ava';
import { runCliJson } from '../../cli/run-cli.js';
import { createAdmins } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { useContext } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createFirehoseReader } from '../../helpers/firehose.js';
import { openOwnRedis, openRedisCluster } from '../../helpers/own-redis.js';
import { runApi, runWorker } from '../../helpers/servers.js';
import { openSmtpServer } from '../../helpers/smtp-server.js';

const context = useContext();

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
