import { randomUUID } from 'node:crypto';
import test from 'ava';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import * as z from 'zod';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { queuePrefix } from '../../shared/queues/registry.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import {
  JobReturned,
  JobDelayed,
  PermanentFailure,
  QueueThrottled,
} from '../../workers/jobs/job-effects.js';
import type { JobContext } from '../../workers/jobs/run-job.js';
import { startJobWorker, type JobWorkerSettings } from '../../workers/jobs/start-worker.js';
import { useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { openFixture } from './fixture.js';

const context = useContext();

// One queue and one worker at a time: they share the file's Redis.
const Data = z.strictObject({ v: z.literal(1), word: z.string() });
type Work = (word: string, context: JobContext) => Promise<string>;

test.serial('a job is read by its schema, worked on once and logged in one line', async (t) => {
  const { add, lines, stateOf } = await setUp(t, async (word, tried) => {
    tried.annotate({ 'trace.id': 'abc' });
    return `${word}!`;
  });
  const id = await add({ v: 1, word: 'hello' });
  await eventually(async () => (await stateOf(id)).state === 'completed');
  const [line, ...others] = await eventually(() => {
    const told = lines.filter((one) => one['labels.job_id'] === id);
    return told.length > 0 && told;
  });
  t.is(others.length, 0);
  t.like(line, {
    msg: 'job completed',
    'labels.queue': 'mail',
    'labels.job': 'say',
    'labels.attempt': 1,
    'labels.result': 'hello!',
    'trace.id': 'abc',
    'event.outcome': 'success',
  });
  t.true(Number.isInteger(line?.['event.duration']));
});

test.serial(
  'data that no version has is given up with a reason that names the field, not its value',
  async (t) => {
    const { add, stateOf } = await setUp(t, async () => 'never');
    const id = await add({ v: 1, word: 7, secret: 'ada@x.example' });
    const { failedReason } = await eventually(async () => {
      const state = await stateOf(id);
      return state.state === 'failed' && state;
    });
    t.is(
      failedReason,
      'the job does not fit its contract: word: invalid_type, data: unrecognized_keys',
    );
  },
);

test.serial('a worker that has just started takes one job, and more as jobs go well', async (t) => {
  const stuck = openStuck();
  const active: number[] = [];
  const { add, queue } = await setUp(
    t,
    async (word) => {
      active.push(await queue.getActiveCount());
      return word === 'first' ? word : stuck.promise;
    },
    { firstConcurrency: 1 },
  );
  await queue.pause();
  for (const word of ['first', 'second', 'third', 'fourth', 'fifth']) await add({ v: 1, word });
  await queue.resume();
  await eventually(() => active.length === 3);
  t.is(active[0], 1);
  t.deepEqual(await queue.getJobCounts('active', 'waiting'), { active: 2, waiting: 2 });
  stuck.release();
  await eventually(async () => (await queue.getJobCountByTypes('active', 'waiting')) === 0);
});

test.serial('a limit that goes down holds from the next job on', async (t) => {
  let limit = 4;
  let atOnce = 0;
  let most = 0;
  const { add, queue } = await setUp(
    t,
    async (word) => {
      if (word === 'crowded') {
        limit = 1;
        throw new JobDelayed('crowded', 60_000);
      }
      most = Math.max(most, ++atOnce);
      // Time enough for the others, if they may.
      for (let i = 0; i < 20; i++) await queue.getActiveCount();
      atOnce -= 1;
      return word;
    },
    {},
    () => limit,
  );
  const crowded = await add({ v: 1, word: 'crowded' });
  await eventually(async () => (await queue.getJobState(crowded)) === 'delayed');
  await queue.pause();
  for (const word of ['a', 'b', 'c', 'd', 'e', 'f']) await add({ v: 1, word });
  await queue.resume();
  await eventually(async () => (await queue.getJobCountByTypes('active', 'waiting')) === 0);
  t.is(most, 1);
});

test.serial('data of another version is left to another worker', async (t) => {
  const { add, stateOf } = await setUp(t, async () => 'never');
  const id = await add({ v: 2, word: 'hello', more: true });
  await eventually(async () => (await stateOf(id)).state === 'delayed');
  t.pass();
});

test.serial(
  'a failure is tried again, counted, and kept in Redis without addresses, links and stacks',
  async (t) => {
    const { add, queue, stateOf } = await setUp(t, async (word, tried) => {
      if (!tried.isLastAttempt)
        throw new Error(`no ${word} at https://x.example/?token=1 for ada@x.example`);
      throw new PermanentFailure('given up on ada@x.example');
    });
    const id = await add({ v: 1, word: 'hello' }, { attempts: 2 });
    await eventually(async () => (await stateOf(id)).state === 'failed');
    const job = await queue.getJob(id);
    t.is(job?.attemptsMade, 2);
    t.is(job?.failedReason, 'given up on [address]');
    const stored = JSON.stringify(job?.toJSON());
    t.notRegex(stored, /ada@|token=1|\bat \S+ \(/);
  },
);

test.serial('a throttled queue takes no job, and the try is not counted', async (t) => {
  let tries = 0;
  const { add, stateOf, queue } = await setUp(t, async () => {
    tries += 1;
    if (tries === 1) throw new QueueThrottled('too fast', 300);
    return 'done';
  });
  const id = await add({ v: 1, word: 'hello' }, { attempts: 1 });
  const startedAt = Date.now();
  await eventually(async () => (await stateOf(id)).state === 'completed');
  t.true(Date.now() - startedAt >= 290);
  t.is((await queue.getJob(id))?.attemptsMade, 1);
  t.is(tries, 2);
});

test.serial('a connection whose other end has vanished is replaced', async (t) => {
  const { add, stateOf, proxy } = await setUp(t, async () => 'done');
  const before = await add({ v: 1, word: 'hello' });
  await eventually(async () => (await stateOf(before)).state === 'completed');
  proxy.strand();
  const after = await add({ v: 1, word: 'hello' });
  await eventually(async () => (await stateOf(after)).state === 'completed');
  t.pass();
});

test.serial('a postponed job comes back later, and the try is not counted', async (t) => {
  const startedAt: number[] = [];
  const { add, stateOf } = await setUp(t, async () => {
    startedAt.push(Date.now());
    if (startedAt.length === 1) throw new JobDelayed('not now', 300);
    return 'done';
  });
  const id = await add({ v: 1, word: 'hello' }, { attempts: 1 });
  await eventually(async () => (await stateOf(id)).state === 'completed');
  const [first = 0, second = 0] = startedAt;
  t.true(second - first >= 290, `${second - first}`);
});

test.serial('what the next try finds can be replaced', async (t) => {
  const words: string[] = [];
  const { add, stateOf } = await setUp(t, async (word, tried) => {
    words.push(word);
    if (words.length > 1) return 'done';
    await tried.replaceData({ v: 1, word: 'rest' });
    throw new Error('half of it');
  });
  const id = await add({ v: 1, word: 'all' });
  await eventually(async () => (await stateOf(id)).state === 'completed');
  t.deepEqual(words, ['all', 'rest']);
});

test.serial('stop waits for the job under way', async (t) => {
  const stuck = openStuck();
  const { add, stateOf, worker } = await setUp(t, () => stuck.promise);
  const id = await add({ v: 1, word: 'hello' });
  await eventually(async () => (await stateOf(id)).state === 'active');
  const stopped = worker.stop(10_000);
  stuck.release();
  await stopped;
  t.is((await stateOf(id)).state, 'completed');
});

test.serial(
  'past its deadline stop has the job handed back: it waits for another worker, uncounted',
  async (t) => {
    const { add, stateOf, queue, worker } = await setUp(
      t,
      (_word, { signal }) =>
        new Promise((_resolve, reject) => {
          const giveBack = (): void => reject(new JobReturned());
          // A job is active in Redis before it is worked on: on a busy machine the deadline is over by then.
          if (signal.aborted) giveBack();
          else signal.addEventListener('abort', giveBack);
        }),
    );
    const id = await add({ v: 1, word: 'hello' });
    await eventually(async () => (await stateOf(id)).state === 'active');
    await worker.stop(50);
    t.is((await stateOf(id)).state, 'waiting');
    const job = await queue.getJob(id);
    t.deepEqual([job?.attemptsMade, job?.stalledCounter], [0, 0]);
  },
);

test.serial('a job that its worker never finishes does not keep stop for ever', async (t) => {
  const stuck = openStuck();
  const { add, stateOf, worker } = await setUp(t, () => stuck.promise);
  const id = await add({ v: 1, word: 'hello' });
  await eventually(async () => (await stateOf(id)).state === 'active');
  await t.notThrowsAsync(worker.stop(50));
  stuck.release();
  await eventually(async () => (await stateOf(id)).state === 'completed');
});

test.serial('of two deadlines the earlier one counts, whichever came first', async (t) => {
  const { add, stateOf, worker } = await setUp(
    t,
    (_word, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new JobReturned()));
      }),
  );
  const id = await add({ v: 1, word: 'hello' });
  await eventually(async () => (await stateOf(id)).state === 'active');
  const drained = worker.stop(600_000);
  await worker.stop(50);
  await drained;
  t.is((await stateOf(id)).state, 'waiting');
});

test.serial('the job of a silent worker is taken back by another', async (t) => {
  const stuck = openStuck();
  const first = await setUp(t, () => stuck.promise, { lockDurationMs: 400 });
  const id = await first.add({ v: 1, word: 'hello' });
  await eventually(async () => (await first.stateOf(id)).state === 'active');
  // As if its host were gone.
  await first.proxy.refuse();
  const { stateOf, lines } = await setUp(t, async () => 'done', { lockDurationMs: 400 });
  await eventually(async () => (await stateOf(id)).state === 'completed');
  t.true(
    lines.some(
      ({ msg, ...line }) => msg === 'stalled job recovered' && line['labels.job_id'] === id,
    ),
  );

  // The first one comes back and learns that it has lost the job.
  await first.proxy.restore();
  stuck.release();
  await eventually(() => first.lines.some((line) => /Missing lock/.test(JSON.stringify(line))));
  // BullMQ never lets go of a connection that is just coming back when it is closed.
  await eventually(async () => (await countWaitingWorkers()) === 2);
});

test.serial('an outage of Redis ends nothing: the worker goes on when it is back', async (t) => {
  const { add, stateOf, proxy, lines } = await setUp(t, async () => 'done');
  await proxy.refuse();
  await eventually(() => lines.some(({ msg }) => msg === 'queue consumer Redis error'));
  await proxy.restore();
  const id = await add({ v: 1, word: 'hello' });
  await eventually(async () => (await stateOf(id)).state === 'completed');
  t.pass();
});

test.serial('a worker that is stopped without its Redis never reconnects', async (t) => {
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const { worker, proxy, lines } = await setUp(t, async () => 'done');
  await proxy.refuse();
  await eventually(() => lines.some(({ msg }) => msg === 'queue consumer Redis error'));
  await worker.stop(50);
  await eventually(() => timers() <= before, { of: 'all timers of its connections being over' });
  t.is(proxy.connections(), 0);
});

/** How many workers wait for the next job, each on a connection of its own. */
async function countWaitingWorkers(): Promise<number> {
  const redis = new Redis(context.redisUrl);
  try {
    const clients = String(await redis.client('LIST')).split('\n');
    const ofThisFile = ` db=${redis.options.db ?? 0} `;
    return clients.filter((one) => one.includes(ofThisFile) && one.includes(' cmd=bzpopmin '))
      .length;
  } finally {
    redis.disconnect();
  }
}

/** Work that goes on until it is released. */
function openStuck(): { promise: Promise<string>; release: () => void } {
  let release: () => void = () => undefined;
  const promise = new Promise<string>((resolve) => {
    release = () => resolve('done');
  });
  return { promise, release };
}

async function setUp(
  scope: Scope,
  work: Work,
  settings: Partial<JobWorkerSettings> = {},
  limit?: () => number,
) {
  const { queues, log, lines } = await openFixture(scope, context);
  // Outlives the test: a worker whose stop was given up closes its connections a moment later. Without its Redis it never would.
  const proxy = await openTcpProxy(context, context.redisUrl);
  context.teardown(() => eventually(() => proxy.connections() === 0));
  const queue = new Queue('mail', {
    connection: redisAddress(context.redisUrl),
    prefix: queuePrefix('mail'),
  });
  scope.teardown(() => queue.close());
  const faults = createDependencyFaults();
  const worker = startJobWorker({
    metrics: createMetrics('worker'),
    jobs: { queue: 'mail', schema: Data },
    redisUrl: proxy.urlFor(context.redisUrl),
    producer: queues.mail,
    process: ({ word }, tried) => work(word, tried),
    settings: {
      concurrency: 4,
      firstConcurrency: 4,
      limiter: { max: 100, duration: 1_000 },
      lockDurationMs: 10_000,
      stalledIntervalMs: 200,
      ...settings,
    },
    ...(limit && { limit }),
    faults,
    log,
    onStalled: () => undefined,
    successLevel: 'info',
  });
  scope.teardown(() => worker.stop(100));
  return {
    faults,
    queue,
    worker,
    proxy,
    lines,
    stateOf: queues.mail.stateOf,
    async add(data: Record<string, unknown>, { attempts = 3 } = {}): Promise<string> {
      const id = `j-${randomUUID()}`;
      await queue.add('say', data, { jobId: id, attempts, backoff: { type: 'jittered' } });
      return id;
    },
  };
}
