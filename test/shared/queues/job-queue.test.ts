import { randomUUID } from 'node:crypto';
import test from 'ava';
import { DelayedError, FlowProducer, Queue, UnrecoverableError, Worker, type Job } from 'bullmq';
import { openJobQueue, type JobQueue } from '../../../shared/queues/job-queue.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { openFailFastRedis, redisAddress } from '../../../shared/queues/redis-client.js';
import { queuePrefix } from '../../../shared/queues/registry.js';
import { anyJob } from '../../helpers/any-job.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openOwnRedis } from '../../helpers/own-redis.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

const context = useContext();
const complete = anyJob('mail', 'complete');
const fail = anyJob('mail', 'fail');
const ignore = (): void => undefined;

// What a job is to become is written in its name, so that one worker serves every test of the file.
test.serial.before('start a worker that does with a job what its name says', () => {
  const worker = new Worker('mail', obey, {
    connection: { ...redisAddress(context.redisUrl), maxRetriesPerRequest: null },
    prefix: queuePrefix('mail'),
    concurrency: 20,
    settings: { backoffStrategy: () => 60_000 },
  });
  worker.on('error', ignore);
  context.teardown(() => worker.close(true));
});

async function obey(job: Job, token?: string): Promise<string> {
  switch (job.name) {
    case 'fail':
      throw new UnrecoverableError('as told');
    case 'retry':
      throw new Error('as told');
    case 'delay':
      await job.moveToDelayed(Date.now() + 60_000, token);
      throw new DelayedError();
    case 'hold':
      await eventually(
        async () => (await job.getState()) !== 'active' || released.has(job.id ?? ''),
      );
      return 'released';
    default:
      return JSON.stringify(job.data);
  }
}

const released = new Set<string>();

test('a job keeps the id, name and data that it was added with', async (t) => {
  const queue = open(t);
  const id = newId();
  await queue.add({ id, contract: complete, data: { v: 1 } });
  const job = await eventually(async () => inspect(async (raw) => raw.getJob(id)));
  t.deepEqual([job.id, job.name, job.data], [id, 'complete', { v: 1 }]);
});

for (const [name, state] of [
  ['complete', 'completed'],
  ['fail', 'failed'],
  ['retry', 'delayed'],
  ['delay', 'delayed'],
  ['hold', 'active'],
] as const) {
  test(`while a job is ${state} (${name}), adding its id again does nothing and changes nothing`, async (t) => {
    const queue = open(t);
    const id = newId();
    t.teardown(() => void released.add(id));
    await queue.add({ id, contract: anyJob('mail', name), data: { first: true } });
    await waitForState(queue, id, state);
    await queue.add({ id, contract: complete, data: { second: true } });
    const job = await inspect((raw) => raw.getJob(id));
    t.deepEqual([job?.name, job?.data], [name, { first: true }]);
    t.is((await queue.stateOf(id)).state, state);
  });
}

test('the state of a job that Redis has never seen is unknown', async (t) => {
  t.deepEqual(await open(t).stateOf(newId()), { state: 'unknown' });
});

test('the state of a failed job tells why it failed', async (t) => {
  const queue = open(t);
  const id = newId();
  await queue.add({ id, contract: fail, data: {} });
  t.deepEqual(await waitForState(queue, id, 'failed'), {
    state: 'failed',
    failedReason: 'as told',
  });
});

test('a job whose id is in no list is unknown although its hash is there, and its id is still refused', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const queue = open(t, redis.url);
  const id = newId();
  await eventually(() => queue.add({ id, contract: complete, data: {} }).then(() => true));
  await redis.client.del('{mail}:mail:wait');
  t.deepEqual(await queue.stateOf(id), { state: 'unknown' });
  await queue.add({ id, contract: complete, data: {} });
  t.deepEqual(await queue.stateOf(id), { state: 'unknown' });
});

test('of the jobs of a paused queue none can be worked on', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const queue = open(t, redis.url);
  const id = newId();
  await eventually(() => queue.add({ id, contract: complete, data: {} }).then(() => true));
  const raw = new Queue('mail', {
    connection: redisAddress(redis.url),
    prefix: queuePrefix('mail'),
  });
  t.teardown(() => raw.close());
  await raw.pause();
  t.is(await queue.countRunnable(), 0);
  t.deepEqual(await queue.stateOf(id), { state: 'waiting' });
  await raw.resume();
  t.is(await queue.countRunnable(), 1);
});

test('a job that has been put off is runnable when its time comes, however long ago it was made', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const queue = open(t, redis.url);
  const connection = { ...redisAddress(redis.url), maxRetriesPerRequest: null };
  const raw = new Queue('mail', { connection, prefix: queuePrefix('mail') });
  t.teardown(() => raw.close());
  const id = newId();
  await raw.add('delay', {}, { jobId: id, timestamp: Date.now() - 3_600_000 });
  t.is(await eventually(() => queue.countRunnable()), 1);
  const worker = new Worker('mail', obey, { connection, prefix: queuePrefix('mail') });
  await waitForState(queue, id, 'delayed');
  await worker.close();
  t.is(await queue.countRunnable(), 0, 'its next try is in a minute');
  await raw.getJob(id).then((job) => job?.changeDelay(0));
  await eventually(async () => (await queue.countRunnable()) === 1);
});

test('a prioritized job waits, as one does that waits for its children', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const queue = open(t, redis.url);
  const raw = new FlowProducer({
    connection: redisAddress(redis.url),
    prefix: queuePrefix('mail'),
  });
  t.teardown(() => raw.close());
  const [parent, child] = [newId(), newId()];
  await raw.add({
    name: 'x',
    queueName: 'mail',
    opts: { jobId: parent },
    children: [{ name: 'x', queueName: 'mail', opts: { jobId: child, priority: 3 } }],
  });
  await eventually(() => queue.stateOf(child));
  t.deepEqual(await queue.stateOf(child), { state: 'waiting' });
  t.deepEqual(await queue.stateOf(parent), { state: 'waiting' });
});

test('an id that Redis would change or BullMQ would misread is refused', async (t) => {
  const queue = open(t);
  await t.throwsAsync(queue.add({ id: '17', contract: complete, data: {} }));
  await t.throwsAsync(queue.add({ id: 'a:b', contract: complete, data: {} }));
});

test('a job over its size limit is refused', async (t) => {
  await t.throwsAsync(
    open(t).add({ id: newId(), contract: complete, data: { filler: 'x'.repeat(8_192) } }),
  );
});

test('a queue opened while Redis is down fails fast, and works when Redis is back', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  await proxy.refuse();
  const queue = open(t, proxy.urlFor(context.redisUrl));
  await t.throwsAsync(queue.add({ id: newId(), contract: complete, data: {} }));
  await t.throwsAsync(queue.stateOf(newId()));
  await proxy.restore();
  const id = newId();
  await eventually(() => queue.add({ id, contract: complete, data: {} }).then(() => true));
  t.is((await waitForState(queue, id, 'completed')).state, 'completed');
});

test('BullMQ: without skipVersionCheck such a queue would stay dead for ever', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  await proxy.refuse();
  const redis = openFailFastRedis(proxy.urlFor(context.redisUrl), ignore);
  const raw = new Queue('mail', { connection: redis, prefix: '{mail}', skipWaitingForReady: true });
  raw.on('error', ignore);
  t.teardown(async () => {
    await raw.close().catch(ignore);
    redis.disconnect();
  });
  await t.throwsAsync(raw.add('complete', {}, { jobId: newId() }));
  await proxy.restore();
  await eventually(() => redis.ping());
  await t.throwsAsync(raw.add('complete', {}, { jobId: newId() }));
});

test('an add whose answer was lost fails, and the second try makes no second job', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const queue = open(t, proxy.urlFor(context.redisUrl));
  const id = newId();
  await eventually(() => queue.stateOf(id));
  proxy.silenceAnswers();
  await t.throwsAsync(queue.add({ id, contract: complete, data: { try: 1 } }));
  await proxy.restore();
  await eventually(() => queue.add({ id, contract: complete, data: { try: 2 } }).then(() => true));
  const job = await inspect((raw) => raw.getJob(id));
  t.deepEqual(job?.data, { try: 1 });
});

test('closing a queue whose Redis is gone does not wait for it', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  await proxy.refuse();
  const redis = openFailFastRedis(proxy.urlFor(context.redisUrl), ignore);
  const queue = openJobQueue('mail', redis, ignore);
  await queue.close();
  redis.disconnect();
  t.pass();
});

function open(scope: Scope, url = context.redisUrl): JobQueue<'mail'> {
  const redis = openFailFastRedis(url, ignore);
  const queue = openJobQueue('mail', redis, ignore);
  scope.teardown(async () => {
    await queue.close();
    redis.disconnect();
  });
  return {
    ...queue,
    // The first call may come before the connection stands; these tests are not about that.
    add:
      url === context.redisUrl
        ? (job) =>
            whenReady(
              () => redis.ping(),
              () => queue.add(job),
            )
        : queue.add,
    stateOf:
      url === context.redisUrl
        ? (id) =>
            whenReady(
              () => redis.ping(),
              () => queue.stateOf(id),
            )
        : queue.stateOf,
  };
}

async function whenReady<T>(ping: () => Promise<unknown>, act: () => Promise<T>): Promise<T> {
  await eventually(() => ping());
  return act();
}

async function inspect<T>(look: (queue: Queue) => Promise<T>): Promise<T> {
  const raw = new Queue('mail', {
    connection: redisAddress(context.redisUrl),
    prefix: queuePrefix('mail'),
  });
  try {
    return await look(raw);
  } finally {
    await raw.close();
  }
}

const waitForState = (queue: Pick<JobQueue, 'stateOf'>, id: string, wanted: string) =>
  eventually(
    async () => {
      const found = await queue.stateOf(id);
      return found.state === wanted ? found : undefined;
    },
    { of: `${id} being ${wanted}` },
  );

const newId = (): string => `j-${randomUUID()}`;

const DAY_MS = 86_400_000;
/** The pauses of the job workers: full jitter under 1 s × 2ⁿ, at most 15 minutes. */
const boundMs = (tries: number): number => Math.min(15 * 60_000, 1_000 * 2 ** tries);

test('the tries of a mail outlast a day without a mail server, whatever the dice say', async (t) => {
  const queues = openQueues(
    { url: context.redisUrl, logsUrl: context.redisUrl },
    createRecordingLogger().log,
  );
  const queue = new Queue('mail', { connection: redisAddress(context.redisUrl), prefix: '{mail}' });
  t.teardown(() => Promise.all([queues.close(), queue.close()]));
  await eventually(() => queues.ping().then(() => true));
  await queues.mail.add({
    id: 'o-x-0',
    contract: anyJob('mail', 'send-confirmation-mail'),
    data: {},
  });
  const attempts = (await queue.getJob('o-x-0'))?.opts.attempts ?? 0;

  const bounds = Array.from({ length: attempts - 1 }, (_, i) => boundMs(i + 1));
  const mean = bounds.reduce((sum, bound) => sum + bound / 2, 0);
  const deviation = Math.sqrt(bounds.reduce((sum, bound) => sum + bound ** 2 / 12, 0));
  t.true(mean - 4 * deviation > DAY_MS);
  t.true(mean < 1.5 * DAY_MS);
});
