import { randomUUID } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { Worker, type Job } from 'bullmq';
import * as z from 'zod';
import { defineJob } from '../../shared/queues/job-contract.js';
import { openQueues } from '../../shared/queues/queues.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import { pauseOnRedisErrors } from '../../workers/jobs/pause-on-redis-errors.js';
import { startJobWorker } from '../../workers/jobs/start-worker.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openOwnRedis, type OwnRedis } from '../helpers/own-redis.js';

const sayJob = defineJob({
  queue: 'mail',
  name: 'say',
  schema: z.strictObject({ v: z.literal(1) }),
});

test('a worker whose Redis has no memory left pauses instead of spinning, and goes on when it has', async (t) => {
  const { redis, faults, pauses, hasDone } = await setUp(t, (own) =>
    own.client.config('SET', 'maxmemory', '1mb'),
  );
  await eventually(() => pauses().length === 1);
  t.is(pauses()[0]?.['msg'], 'Redis out of memory; consumer paused');
  t.is((await faults.checks.redis_refuses()).problem, 'Redis has no memory left');
  await eventually(() => pauses().length === 2);

  await redis.client.config('SET', 'maxmemory', '16mb');
  await eventually(hasDone);
  await eventually(async () => (await faults.checks.redis_refuses()).ok);
});

test('so does one whose Redis takes no writes for another reason', async (t) => {
  const { redis, faults, pauses, hasDone } = await setUp(t, (own) =>
    own.client.replicaof('127.0.0.1', 1),
  );
  await eventually(() => pauses().length === 1);
  t.like(pauses()[0], {
    msg: 'Redis rejects commands; consumer paused',
    'event.reason': 'READONLY',
  });
  t.is(
    (await faults.checks.redis_refuses()).problem,
    'Redis refuses commands: READONLY (a replica)',
  );

  await redis.client.replicaof('NO', 'ONE');
  await eventually(hasDone);
  await eventually(async () => (await faults.checks.redis_refuses()).ok);
});

test('what one queue is refused stays told, however many jobs another queue does', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  const open = (queue: 'mail' | 'logs') => {
    const worker = new Worker<unknown, string>(queue, async () => 'done', {
      connection: { ...redisAddress(redis.url), maxRetriesPerRequest: null },
      autorun: false,
    });
    t.teardown(() => worker.close());
    pauseOnRedisErrors({ queue, worker, faults, log: createRecordingLogger().log });
    return worker;
  };
  const faults = createDependencyFaults();
  const [mail, logs] = [open('mail'), open('logs')];
  const refused = Object.assign(new Error('NOREPLICAS Not enough good replicas to write.'), {
    name: 'ReplyError',
  });
  for (let i = 0; i < 20; i++) mail.emit('error', refused);
  const said = 'Redis refuses commands: NOREPLICAS (it has too few replicas)';
  const job = { id: 'j' } as Job<unknown, string>;
  logs.emit('completed', job, 'done', 'active');
  t.is((await faults.checks.redis_refuses()).problem, said);
  for (let i = 0; i < 20; i++) logs.emit('error', refused);
  mail.emit('completed', job, 'done', 'active');
  t.true((await faults.checks.redis_refuses()).ok);
  t.is((await faults.checks.redis_refuses_logs()).problem, said);
});

test('only an answer of Redis is a refusal, wherever it has put its word for it', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  const worker = new Worker<unknown, string>('mail', async () => 'done', {
    connection: { ...redisAddress(redis.url), maxRetriesPerRequest: null },
    autorun: false,
  });
  t.teardown(() => worker.close());
  const faults = createDependencyFaults();
  const refusals = pauseOnRedisErrors({
    queue: 'mail',
    worker,
    faults,
    log: createRecordingLogger().log,
  });
  worker.emit('error', new Error('Missing lock for job 1'));
  t.is(refusals.sinceLastMs(), Infinity);

  const refused = Object.assign(
    new Error(
      'ERR Error running script (call to f_1): @user_script:10: -MISCONF Redis cannot save',
    ),
    { name: 'ReplyError' },
  );
  for (let i = 0; i < 20; i++) worker.emit('error', refused);
  t.true(Number.isFinite(refusals.sinceLastMs()));
  t.regex((await faults.checks.redis_refuses()).problem ?? '', /^Redis refuses commands: MISCONF /);
  t.true((await faults.checks.redis_refuses_logs()).ok);
});

/** A worker with one job, and a Redis to which this is done just before it starts. */
async function setUp(t: ExecutionContext, spoil: (redis: OwnRedis) => Promise<unknown>) {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  const { log, lines } = createRecordingLogger();
  const queues = openQueues({ url: redis.url, logsUrl: redis.url }, log);
  t.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  await queues.mail.add({ id: `j-${randomUUID()}`, contract: sayJob, data: { v: 1 } });
  await spoil(redis);

  const faults = createDependencyFaults();
  const worker = startJobWorker({
    jobs: sayJob,
    redisUrl: redis.url,
    producer: queues.mail,
    process: () => Promise.resolve('done'),
    settings: {
      concurrency: 1,
      firstConcurrency: 1,
      limiter: { max: 100, duration: 1_000 },
      lockDurationMs: 10_000,
      stalledIntervalMs: 1_000,
    },
    faults,
    log,
    onStalled: () => undefined,
    successLevel: 'info',
  });
  t.teardown(() => worker.stop(100));
  return {
    redis,
    faults,
    pauses: () => lines.filter(({ msg }) => String(msg).endsWith('; consumer paused')),
    hasDone: () => lines.some(({ msg }) => msg === 'job completed'),
  };
}
