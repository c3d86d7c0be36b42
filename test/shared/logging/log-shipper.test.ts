import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { Queue } from 'bullmq';
import { shipLogBatch } from '../../../shared/jobs/index.js';
import { createLogShipper } from '../../../shared/logging/log-shipper.js';
import { openQueues, type Queues } from '../../../shared/queues/queues.js';
import { redisAddress } from '../../../shared/queues/redis-client.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

const context = useContext();

// One queue in one Redis: each test clears it, so they take turns.
test.serial.beforeEach(() => inspect((queue) => queue.obliterate({ force: true })));

test.serial(
  'lines become a job whose payload fits its contract and unpacks to the very lines',
  async (t) => {
    const shipper = createLogShipper();
    shipper.connect((await openReadyQueues(t)).logs, () => undefined);
    const lines = ['{"message":"one"}\n', '{"message":"zwei ü \u{1F600}"}\n'];
    for (const line of lines) shipper.write(line);
    await shipper.close(5_000);
    const [job, ...others] = await waitingJobs();
    t.is(others.length, 0);
    t.is(job?.name, 'ship-log-batch');
    const payload = shipLogBatch.schema.parse(job?.data);
    t.is(payload.count, 2);
    t.is(unpack(payload.lines), lines.join(''));
  },
);

test.serial('lines written before a queue is there are held, in order', async (t) => {
  const shipper = createLogShipper();
  for (let number = 0; number < 1_200; number++) shipper.write(`{"number":${number}}\n`);
  shipper.connect(openLogsQueue(t).logs, () => undefined);
  await eventually(async () => (await shippedNumbers()).length === 1_200);
  await shipper.close(5_000);
  t.deepEqual(
    await shippedNumbers(),
    Array.from({ length: 1_200 }, (_, number) => number),
  );
});

test.serial(
  'job ids say the boot and the number of the batch; no two boots share one',
  async (t) => {
    const { logs } = await openReadyQueues(t);
    for (const boot of [1, 2]) {
      const shipper = createLogShipper();
      shipper.connect(logs, () => undefined);
      for (let number = 0; number < 501; number++)
        shipper.write(`{"boot":${boot},"number":${number}}\n`);
      await shipper.close(5_000);
    }
    const ids = (await waitingJobs()).map(({ id = '' }) => id);
    t.is(ids.length, 4);
    for (const id of ids) t.regex(id, /^l-[0-9a-f-]{36}-[01]$/);
    t.is(new Set(ids.map((id) => id.slice(0, 38))).size, 2);
  },
);

test.serial(
  'a batch whose reply was lost keeps its id when it is handed over again: it is shipped once',
  async (t) => {
    const proxy = await openTcpProxy(t, context.redisUrl);
    const queues = openLogsQueue(t, proxy.urlFor(context.redisUrl));
    await eventually(() => queues.ping().then(() => true));
    const shipper = createLogShipper();
    shipper.connect(queues.logs, () => undefined);
    shipper.write('{"number":0}\n');
    // Redis gets the job, the answer does not come back: the producer must take it for a failure.
    proxy.silenceAnswers();
    await eventually(async () => (await waitingJobs()).length === 1);
    shipper.write('{"number":1}\n');
    await proxy.restore();
    await eventually(async () => (await shippedNumbers()).length >= 2, { of: 'the second line' });
    await shipper.close(5_000);
    t.deepEqual(await shippedNumbers(), [0, 1]);
  },
);

test.serial('with Redis gone lines are held, and shipped when it is back', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const shipper = createLogShipper();
  await proxy.refuse();
  shipper.connect(openLogsQueue(t, proxy.urlFor(context.redisUrl)).logs, () => undefined);
  for (let number = 0; number < 700; number++) shipper.write(`{"number":${number}}\n`);
  await proxy.restore();
  await eventually(async () => (await shippedNumbers()).length === 700);
  await shipper.close(5_000);
  t.deepEqual(
    await shippedNumbers(),
    Array.from({ length: 700 }, (_, number) => number),
  );
});

function openLogsQueue(scope: Scope, url = context.redisUrl): Queues {
  const queues = openQueues({ url, logsUrl: url }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  return queues;
}

async function openReadyQueues(scope: Scope, url = context.redisUrl): Promise<Queues> {
  const queues = openLogsQueue(scope, url);
  await eventually(() => queues.ping().then(() => true), { of: 'the connection to Redis' });
  return queues;
}

async function inspect<T>(look: (queue: Queue) => Promise<T>): Promise<T> {
  const queue = new Queue('logs', { connection: redisAddress(context.redisUrl), prefix: '{logs}' });
  try {
    return await look(queue);
  } finally {
    await queue.close();
  }
}

/** Oldest first. */
const waitingJobs = () => inspect((queue) => queue.getJobs(['waiting'], 0, -1, true));

async function shippedNumbers(): Promise<number[]> {
  const jobs = await waitingJobs();
  const texts = jobs.map(({ data }) => unpack(shipLogBatch.schema.parse(data).lines));
  return texts.flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { number: number }).number),
  );
}

const unpack = (lines: string): string => gunzipSync(Buffer.from(lines, 'base64')).toString('utf8');
