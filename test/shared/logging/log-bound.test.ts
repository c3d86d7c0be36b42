import test from 'ava';
import { createLogShipper } from '../../../shared/logging/log-shipper.js';
import type { JobQueue, NewJob } from '../../../shared/queues/job-queue.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { useContext } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';

const context = useContext();

test('open jobs are counted, wherever they are', async (t) => {
  const queues = openQueues(
    { url: context.redisUrl, logsUrl: context.redisUrl },
    createRecordingLogger().log,
  );
  t.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  t.is(await queues.logs.countOpen(), 0);
  for (const id of ['l-1', 'l-2', 'l-2'])
    await queues.logs.add({ id, name: 'ship-log-batch', data: {} });
  t.is(await queues.logs.countOpen(), 2);
});

test('while a thousand batches wait, lines are held, and counted no more than once a second', async (t) => {
  const queue = fullQueue();
  const shipper = createLogShipper();
  shipper.connect(queue, () => undefined);
  for (let number = 0; number < 2_500; number++) shipper.write(`{"number":${number}}\n`);
  // The first batch finds out.
  await eventually(() => queue.added.length === 1 && queue.counts() >= 2);
  t.is(queue.added.length, 1);

  queue.drain();
  await eventually(() => queue.added.length === 5);
  await shipper.close(1_000);
  t.is(new Set(queue.added.map(({ id }) => id)).size, 5);
  t.true(queue.counts() <= 2 + queue.secondsOpen());
});

test('at the stop a full queue is asked again until the deadline', async (t) => {
  const queue = fullQueue();
  const shipper = createLogShipper();
  shipper.connect(queue, () => undefined);
  for (let number = 0; number < 1_000; number++) shipper.write(`{"number":${number}}\n`);
  await eventually(() => queue.added.length === 1);
  const closing = shipper.close(10_000);
  queue.drain();
  await closing;
  t.is(queue.added.length, 2);
});

/** A queue that says it is full until it is drained. */
function fullQueue() {
  const added: NewJob[] = [];
  const openedAt = performance.now();
  let counts = 0;
  let open = 1_000;
  const queue: JobQueue = {
    async add(job) {
      added.push(job);
    },
    countRunnable: async () => 0,
    async countOpen() {
      counts += 1;
      return open;
    },
    stateOf: async () => ({ state: 'unknown' }),
    rateLimit: async () => undefined,
    close: async () => undefined,
  };
  return {
    ...queue,
    added,
    counts: () => counts,
    secondsOpen: () => (performance.now() - openedAt) / 1_000,
    drain: () => (open = 0),
  };
}
