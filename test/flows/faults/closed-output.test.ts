import test, { type ExecutionContext } from 'ava';
import { createClient } from '../../helpers/api-client.js';
import { useContext } from '../../helpers/context.js';
import { IMPATIENT } from '../../helpers/env.js';
import { eventually } from '../../helpers/eventually.js';
import { createFirehoseReader, type LogRecord } from '../../helpers/firehose.js';
import { startApi, startWorker, type ServerProcess } from '../../helpers/processes.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

const context = useContext();
const firehose = createFirehoseReader(context);

const TOLD = 'stdout write failed';
const ON_STDERR = 'Standard output cannot be written (EPIPE); going on without.\n';

/** Sends requests until one of their lines has met the closed pipe. */
const untilTold = (api: ServerProcess): Promise<true> =>
  eventually(async () => {
    await createClient(api.url).get('/health/live');
    return api.stderr() !== '';
  });

const recordsOf = async (name: string, message: string): Promise<LogRecord[]> =>
  (await firehose.records()).filter(
    (record) => record['service.name'] === name && record['message'] === message,
  );

test.serial(
  'API and worker whose readers of stdout have ended go on: requests, mails and log records (field: nodejs/node, coreos/go-systemd)',
  async (t) => {
    const worker = await startWorker(context, { scope: t });
    const api = await startApi(context, { scope: t });
    api.closeReader('stdout');
    worker.closeReader('stdout');
    worker.closeReader('stderr');
    await untilTold(api);
    t.is(api.stderr(), ON_STDERR);

    const email = context.uniqueAddress();
    const password = 'orchid kettle fern ninety';
    const client = createClient(api.url);
    const { status, requestId } = await client.post('/auth/register', {
      email,
      name: 'Tess Base',
      password,
    });
    t.is(status, 202);
    await firehose.waitForRecord((record) => record['http.request.id'] === requestId, 'its record');
    await eventually(
      async () =>
        (await context.rows(`select 1 from deliveries where outcome = 'sent'`)).length > 0,
      { of: 'its mail' },
    );
    for (const name of ['rollcall-api', 'rollcall-worker']) {
      await eventually(async () => (await recordsOf(name, TOLD)).length > 0, { of: name });
      const [told, ...again] = await recordsOf(name, TOLD);
      t.is(told?.['error.code'], 'EPIPE');
      t.deepEqual(again, [], 'told once');
      t.deepEqual(await recordsOf(name, 'uncaught exception'), []);
    }
    await stopInOrder(t, api, worker);
  },
);

test.serial('an API without a spool goes on too, and says why on stderr', async (t) => {
  const api = await startApi(context, {
    scope: t,
    env: { FIREHOSE_DELIVERY_STREAM: undefined },
  });
  api.closeReader('stdout');
  await untilTold(api);
  for (let i = 0; i < 20; i += 1)
    t.is((await createClient(api.url).get('/health/live')).status, 200);
  t.is(api.stderr(), ON_STDERR, 'told once');
  await stopInOrder(t, api);
});

async function stopInOrder(t: ExecutionContext, ...processes: ServerProcess[]): Promise<void> {
  for (const process of processes) {
    process.send('SIGTERM');
    t.deepEqual(await process.waitForExit(), { code: 0, signal: null });
  }
}

/** Well-formed, and of no session. */
const REFRESH_TOKEN = `rt_1_0_${'A'.repeat(43)}`;

test('through an outage of PostgreSQL every line is one of the log, and says what readiness found', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const env = { ...IMPATIENT, DATABASE_URL: proxy.urlFor(context.databaseUrl) };
  const api = await startApi(context, { scope: t, env });
  const worker = await startWorker(context, { scope: t, env });
  const client = createClient(api.url);
  const token = `ct_${'0'.repeat(32)}_${'A'.repeat(43)}`;
  t.is((await client.post('/auth/confirm', { token, password: 'any password' })).status, 400);

  proxy.silence();
  // A transaction that cannot be begun.
  t.is((await client.post('/auth/refresh', { refresh_token: REFRESH_TOKEN })).status, 503);
  await api.waitForLine((line) => line['message'] === 'console output captured');
  for (const process of [api, worker]) {
    t.is((await fetch(`${process.url}/health/ready`)).status, 503);
    const line = await process.waitForLine(({ 'labels.check': check }) => check === 'postgres');
    t.is(line['message'], 'readiness check failed');
    t.regex(String(line['error.message']), /timeout|terminated|Connection/i);
  }
  await proxy.restore();
  await Promise.all([api.stop(), worker.stop()]);
  for (const process of [api, worker]) {
    t.is(process.stderr(), '');
    t.notThrows(() => process.logLines());
  }
});
