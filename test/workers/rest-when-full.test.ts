import { randomUUID } from 'node:crypto';
import test from 'ava';
import * as z from 'zod';
import { openQueues } from '../../shared/queues/queues.js';
import { createFaultBoard } from '../../workers/fault-board.js';
import { startJobWorker } from '../../workers/start-worker.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openOwnRedis } from '../helpers/own-redis.js';

test('a worker whose Redis has no memory left rests instead of spinning, and goes on when it has', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  const { log, lines } = createRecordingLogger();
  const queues = openQueues({ url: redis.url, logsUrl: redis.url }, log);
  t.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  const id = `j-${randomUUID()}`;
  await queues.mail.add({ id, name: 'say', data: { v: 1 } });
  await redis.client.config('SET', 'maxmemory', '1mb');

  const faults = createFaultBoard();
  const worker = startJobWorker({
    queue: 'mail',
    redisUrl: redis.url,
    producer: queues.mail,
    schema: z.strictObject({ v: z.literal(1) }),
    process: () => Promise.resolve('done'),
    settings: {
      concurrency: 1,
      limiter: { max: 100, duration: 1_000 },
      lockDurationMs: 10_000,
      stalledIntervalMs: 1_000,
    },
    faults,
    log,
    onSilent: () => undefined,
    successLevel: 'info',
  });
  t.teardown(() => worker.stop(100));
  const rests = () =>
    lines.filter(({ msg }) => msg === 'Redis has no memory left; the worker rests').length;
  await eventually(() => rests() === 1);
  t.is((await faults.checks.redis_memory()).problem, 'Redis has no memory left');
  await eventually(() => rests() === 2, { withinMs: 30_000 });

  await redis.client.config('SET', 'maxmemory', '16mb');
  await eventually(() => lines.some(({ msg }) => msg === 'job done'), { withinMs: 30_000 });
  await eventually(async () => (await faults.checks.redis_memory()).ok);
});
