import test from 'ava';
import { createQueueRoom } from '../../../shared/logging/queue-room.js';
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

test('with a thousand batches open there is no room, and again when there are fewer; it is counted once a second', async (t) => {
  let open = 1_000;
  let counts = 0;
  const startedAt = performance.now();
  const hasRoom = createQueueRoom({
    async countOpen() {
      counts += 1;
      return open;
    },
  });
  await eventually(async () => !(await hasRoom(1)));
  open = 999;
  await eventually(() => hasRoom(1));
  t.true(counts <= 2 + (performance.now() - startedAt) / 1_000, `${counts} counts`);
});

test('a queue that cannot be counted is left to refuse by itself', async (t) => {
  const hasRoom = createQueueRoom({
    async countOpen() {
      throw new Error('Redis is gone');
    },
  });
  t.true(await hasRoom(1));
  t.true(await hasRoom(1));
});
