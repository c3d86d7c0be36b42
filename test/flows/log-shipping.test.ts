import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../../dev/emulators/firehose/firehose-endpoint.js';
import { createClient } from '../helpers/api-client.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createFirehoseReader } from '../helpers/firehose.js';
import { type LogLine, isRequest } from '../helpers/processes.js';
import { runApi, runWorker, type RunningServer } from '../helpers/servers.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';

shareProcess();

const context = useContext();

const idOf = (line: LogLine): string => String(line['event.id']);
const byId = (a: LogLine, b: LogLine): number => idOf(a).localeCompare(idOf(b));
const isFromApi = (line: LogLine): boolean => line['service.name'] === 'rollcall-api';

test.serial(
  'every line that the API writes arrives on the stream, once, as it was written: flat, in ECS names',
  async (t) => {
    const api = await runApi(context, { scope: t });
    await runWorker(context, { scope: t });
    await makeRequests(api, 1_200, 'plain');
    const { requestId } = await createClient(api.url).get('/users?limit=5&secret=canary');
    await api.stop();

    const written = api.logLines();
    const firehose = createFirehoseReader(context);
    const shipped = await eventually(async () => {
      const records = (await firehose.records()).filter(isFromApi);
      return records.length >= written.length && records;
    });
    // Batches are shipped side by side: the order is theirs, the lines are the API's.
    t.deepEqual(shipped.toSorted(byId), written.toSorted(byId));
    t.is(shipped.length, written.length, 'none twice');
    t.true(shipped.some((record) => record['message'] === 'shutdown started'));

    const record = shipped.find(isRequest(requestId)) ?? {};
    for (const [name, value] of Object.entries(record)) {
      t.regex(name, /^[@a-z][a-z0-9_.]*$/);
      t.true(['string', 'number', 'boolean'].includes(typeof value), name);
    }
    t.is(record['service.name'], 'rollcall-api');
    t.is(record['service.environment'], 'test');
    t.is(record['http.request.method'], 'GET');
    t.is(record['url.path'], '/users');
    t.is(record['http.response.status_code'], 401);
    t.is(record['log.level'], 'info');
    t.regex(String(record['trace.id']), /^[0-9a-f]{32}$/);
    t.true(Number.isInteger(record['event.duration']) && Number(record['event.duration']) > 0);
    t.is(new Date(String(record['@timestamp'])).toISOString(), String(record['@timestamp']));
    t.false(JSON.stringify(record).includes('canary'));
  },
);

test.serial(
  'a Firehose that fails in every way it can delays records, and loses none',
  async (t) => {
    const firehose = await openFirehose(t);
    const api = await runApi(context, { scope: t });
    await runWorker(context, { scope: t, env: { AWS_ENDPOINT_URL_FIREHOSE: firehose.url } });
    const client = createClient(api.url);
    const asked: string[] = [];
    for (const plan of [
      { mode: 'partial', failEvery: 2, failCalls: 2 },
      { mode: 'unavailable', failCalls: 2 },
      { mode: 'throttle', failCalls: 2 },
      { mode: 'down', failCalls: 2 },
    ] as const) {
      firehose.setFaults(plan);
      for (let i = 0; i < 20; i++) asked.push((await client.get('/health/live')).requestId);
      await arrived(firehose, asked);
    }
    t.is(new Set(asked).size, 80);
  },
);

test.serial('with Redis gone the API goes on; its lines arrive when Redis is back', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const firehose = await openFirehose(t);
  const env = {
    REDIS_URL: proxy.urlFor(context.redisUrl),
    AWS_ENDPOINT_URL_FIREHOSE: firehose.url,
  };
  const api = await runApi(context, { scope: t, env });
  await runWorker(context, { scope: t, env });
  await proxy.refuse();
  const client = createClient(api.url);
  const asked: string[] = [];
  for (let i = 0; i < 700; i++) asked.push((await client.get('/health/live')).requestId);
  t.is(
    (await firehose.records(context.streamName)).filter(({ document }) =>
      asked.includes(String(document?.['http.request.id'])),
    ).length,
    0,
  );
  await proxy.restore();
  await arrived(firehose, asked);
});

test.serial('without a stream lines go to stdout alone, and no log job is made', async (t) => {
  const env = { FIREHOSE_DELIVERY_STREAM: undefined };
  const [api, worker] = [
    await runApi(context, { scope: t, env }),
    await runWorker(context, { scope: t, env }),
  ];
  const { requestId } = await createClient(api.url).get('/health/live');
  await api.waitForLine(isRequest(requestId));
  await Promise.all([api.stop(), worker.stop()]);
  const records = await createFirehoseReader(context).records();
  t.false(records.some(isRequest(requestId)));
});

async function makeRequests(api: RunningServer, count: number, path: string): Promise<void> {
  const client = createClient(api.url);
  for (let made = 0; made < count; made += 20) {
    await Promise.all(Array.from({ length: 20 }, () => client.raw('GET', `/${path}`)));
  }
}

/** An endpoint that this test may break: the shared one serves every file. */
async function openFirehose(t: ExecutionContext): Promise<FirehoseEndpoint> {
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-firehose-'));
  const endpoint = await openFirehoseEndpoint({ dataDir, port: 0, host: '127.0.0.1' });
  t.teardown(async () => {
    await endpoint.close();
    await rm(dataDir, { recursive: true });
  });
  return endpoint;
}

async function arrived(firehose: FirehoseEndpoint, requestIds: readonly string[]): Promise<void> {
  await eventually(
    async () => {
      const records = await firehose.records(context.streamName);
      const ids = new Set(records.map(({ document }) => document?.['http.request.id']));
      return requestIds.every((id) => ids.has(id));
    },
    { of: 'every request on the stream' },
  );
}
