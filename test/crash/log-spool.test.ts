import { readdir } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { Redis } from 'ioredis';
import { createClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createFirehoseReader } from '../helpers/firehose.js';
import { startApi, startWorker, type LogLine, type ServerProcess } from '../helpers/processes.js';
import { runApi, runWorker, type RunningServer } from '../helpers/servers.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';

const context = useContext();
const firehose = createFirehoseReader(context);

const PATIENT = { withinMs: 90_000 };
const idOf = (line: LogLine): string => String(line['event.id']);

test.serial(
  'API killed with lines in flight: every line that was on its stdout is shipped after the next start',
  async (t) => {
    const killed: ServerProcess[] = [];
    for (const round of [1, 2, 3]) {
      const api = await startApi(context, { scope: t });
      const storm = startStorm(api);
      await eventually(() => api.logLines().length > 100 * round);
      await api.kill();
      await storm;
      killed.push(api);
    }
    await runWorker(context, { scope: t });
    await runApi(context, { scope: t });
    for (const api of killed) await allShipped(t, api);
  },
);

test.serial(
  'Redis loses all of its data: the batches in it are shipped all the same',
  async (t) => {
    const api = await runApi(context, { scope: t });
    await makeRequests(api, 200);
    await eventually(async () => (await openBatches()) > 0);
    const written = api.logLines();
    await withRedis((redis) => redis.flushdb());
    await runWorker(context, { scope: t });
    await allShipped(t, api, written);
  },
);

test.serial(
  'API killed while Redis is away, worker killed in the middle, Redis emptied: nothing is lost',
  async (t) => {
    const proxy = await openTcpProxy(t, context.redisUrl);
    const env = { REDIS_URL: proxy.urlFor(context.redisUrl) };
    const api = await startApi(context, { scope: t, env });
    await makeRequests(api, 100);
    await proxy.refuse();
    await makeRequests(api, 100);
    await api.kill();
    const doomed = await startWorker(context, { scope: t });
    await doomed.waitForLine((line) => line['message'] === 'worker started');
    await doomed.kill();
    await withRedis((redis) => redis.flushdb());

    await runWorker(context, { scope: t });
    await allShipped(t, api);
    const started = doomed.logLines().filter(({ message }) => message === 'worker started');
    await allShipped(t, doomed, started);
  },
);

test.serial('what has been shipped leaves the disk', async (t) => {
  const worker = await runWorker(context, { scope: t });
  const api = await runApi(context, { scope: t });
  await makeRequests(api, 50);
  await api.stop();
  await allShipped(t, api);
  // One folder is the worker's own.
  await eventually(async () => (await readdir(context.spoolDir)).length === 1, PATIENT);
  t.false(worker.hasEnded());
});

/** Asks as fast as it can until nobody answers. */
async function startStorm(api: ServerProcess): Promise<void> {
  const client = createClient(api.url);
  const asking = Array.from({ length: 8 }, async () => {
    try {
      for (;;) await client.raw('GET', '/nowhere');
    } catch {
      // It is dead.
    }
  });
  await Promise.all(asking);
}

async function makeRequests(api: RunningServer, count: number): Promise<void> {
  const client = createClient(api.url);
  for (let made = 0; made < count; made += 20) {
    await Promise.all(Array.from({ length: 20 }, () => client.raw('GET', '/nowhere')));
  }
}

async function allShipped(
  t: ExecutionContext,
  process: Pick<RunningServer, 'logLines'>,
  written: readonly LogLine[] = process.logLines(),
): Promise<void> {
  t.true(written.length > 0);
  const missing = async (): Promise<LogLine[]> => {
    const shipped = new Set((await firehose.records()).map(idOf));
    return written.filter((line) => !shipped.has(idOf(line)));
  };
  await eventually(async () => (await missing()).length === 0, {
    ...PATIENT,
    of: `every one of ${written.length} lines being shipped`,
  });
}

const openBatches = (): Promise<number> => withRedis((redis) => redis.llen('{logs}:logs:wait'));

async function withRedis<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(context.redisUrl);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}
