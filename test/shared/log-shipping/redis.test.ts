import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { QueueRoom } from '../../../shared/queues/queue-room.js';
import { openQueues, type Queues } from '../../../shared/queues/queues.js';
import { redisAddress } from '../../../shared/queues/redis-client.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';
import { line, createSpoolFixture, upTo, type OpenedSpool } from './spool-fixture.js';

shareProcess();

const context = useContext();

// One Redis: each test empties it, so they take turns.
test.serial.beforeEach(() => withRedis((redis) => redis.flushdb()));

test.serial('a queued batch is shipped, gets its receipt, and leaves disk and queue', async (t) => {
  const { fixture } = await startShipping(t);
  await eventually(async () => (await waitingIds()).length === 2);
  work(t, async () => undefined);
  await eventually(async () => (await fixture.segments()).length === 0);
  t.deepEqual(await waitingIds(), []);
});

test.serial('after Redis loses its data every batch is enqueued again', async (t) => {
  const { fixture } = await startShipping(t);
  await eventually(async () => (await waitingIds()).length === 2);
  const ids = await waitingIds();
  await withRedis((redis) => redis.flushdb());
  await eventually(async () => (await waitingIds()).length === 2);
  t.deepEqual((await waitingIds()).toSorted(), ids.toSorted());
  work(t, async () => undefined);
  await eventually(async () => (await fixture.segments()).length === 0);
});

test.serial(
  'a batch whose job failed permanently is enqueued again under another id',
  async (t) => {
    const { fixture } = await startShipping(t);
    await eventually(async () => (await waitingIds()).length === 2);
    const seen: string[] = [];
    work(t, async (id) => {
      seen.push(id);
      if (id.endsWith('-0')) throw new UnrecoverableError('no');
    });
    await eventually(async () => (await fixture.segments()).length === 0);
    const refused = seen.find((id) => id.endsWith('-0')) ?? '';
    t.deepEqual(
      seen.filter((id) => id.startsWith(refused)),
      [refused, `${refused}-1`],
    );
  },
);

test.serial('a job whose answer was lost is in the queue once', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const { opened } = await startShipping(t, proxy.urlFor(context.redisUrl), true, plentyOfRoom);
  await eventually(async () => (await waitingIds()).length === 2);
  // Redis gets the job, but its answer is lost: the producer cannot know.
  proxy.silenceAnswers();
  opened.spool.write(line(1_000));
  await eventually(async () => (await waitingIds()).length === 3);
  opened.spool.write(line(1_001));
  await turn();
  await proxy.restore();
  await eventually(async () => (await waitingIds()).length === 4);
  t.is(new Set(await waitingIds()).size, 4);
});

test.serial(
  'while Redis is down lines wait on disk, and are enqueued when it is back',
  async (t) => {
    const proxy = await openTcpProxy(t, context.redisUrl);
    await proxy.refuse();
    const { fixture, opened } = await startShipping(t, proxy.urlFor(context.redisUrl), false);
    await turn();
    t.is((await fixture.lines()).length, 501);
    await proxy.restore();
    await eventually(async () => (await waitingIds()).length === 2);
    t.is(opened.spool.use().droppedLines, 0);
  },
);

/** Does not ask Redis. */
const plentyOfRoom: QueueRoom = { has: () => Promise.resolve(true) };

/** A spool that ships two batches to the file's Redis. */
async function startShipping(
  t: ExecutionContext,
  url = context.redisUrl,
  isReady = true,
  room?: QueueRoom,
) {
  const fixture = await createSpoolFixture(t);
  const opened: OpenedSpool = fixture.open();
  const queues: Queues = openQueues({ url, logsUrl: url }, createRecordingLogger().log);
  t.teardown(() => queues.close());
  if (isReady) await eventually(() => queues.ping().then(() => true));
  opened.ship({
    queue: queues.logs,
    receipts: queues.receipts,
    room: room ?? queues.room.logs,
  });
  for (const number of upTo(501)) opened.spool.write(line(number));
  return { fixture, opened };
}

/** Does what a log worker does: writes a receipt, then completes the job. */
function work(t: ExecutionContext, ship: (id: string) => Promise<void>): void {
  const queues = openQueues(
    { url: context.redisUrl, logsUrl: context.redisUrl },
    createRecordingLogger().log,
  );
  const worker = new Worker(
    'logs',
    async ({ id = '' }) => {
      await ship(id);
      await queues.receipts.write(id);
    },
    {
      connection: { ...redisAddress(context.redisUrl), maxRetriesPerRequest: null },
      prefix: '{logs}',
    },
  );
  t.teardown(async () => {
    await worker.close();
    await queues.close();
  });
}

async function waitingIds(): Promise<string[]> {
  const queue = new Queue('logs', { connection: redisAddress(context.redisUrl), prefix: '{logs}' });
  try {
    return (await queue.getJobs(['waiting'])).map(({ id = '' }) => id);
  } finally {
    await queue.close();
  }
}

async function withRedis<T>(ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(context.redisUrl);
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}
