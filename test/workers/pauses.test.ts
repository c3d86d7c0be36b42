import { randomUUID } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { Worker, type Job } from 'bullmq';
import * as z from 'zod';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { defineJob } from '../../shared/queues/job-contract.js';
import { openQueues, type Queues } from '../../shared/queues/queues.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import { pauseOnRedisErrors } from '../../workers/jobs/pause-on-redis-errors.js';
import { startJobWorker } from '../../workers/jobs/start-worker.js';
import {
  createCircuitBreaker,
  othersGetThrough,
  recordReached,
  recordSession,
  recordUnreachable,
  releasePermit,
  requestPermit,
  type SendPermit,
} from '../../workers/mail/delivery/circuit-breaker.js';
import { shareProcess } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openOwnRedis, type OwnRedis } from '../helpers/own-redis.js';

shareProcess();

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
  t.deepEqual(await faults.checks.redis_refuses(), {
    ok: false,
    kind: 'out_of_memory',
    problem: 'Redis has no memory left',
  });
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

test('one right that is missing is told, though the worker need not pause', async (t) => {
  const { redis, faults, hasDone } = await setUp(t, (own) =>
    own.client.call('ACL', 'SETUSER', 'default', '-zadd'),
  );
  const problem = async () => (await faults.checks.redis_refuses()).problem ?? '';
  await eventually(async () => (await problem()).endsWith('NOPERM (the user lacks rights)'));
  t.false(hasDone());

  await redis.client.call('ACL', 'SETUSER', 'default', '+zadd');
  await eventually(hasDone);
  await eventually(async () => (await faults.checks.redis_refuses()).ok);
});

test('a consumer whose connection Redis does not take says why, and works once it has one', async (t) => {
  const { redis, faults, hasDone } = await setUp(t, (own) =>
    own.client.config('SET', 'maxclients', '2'),
  );
  const said = 'Redis refuses commands: ERR (maxclients is reached)';
  await eventually(async () => (await faults.checks.redis_refuses()).problem === said);
  t.false(hasDone());

  await redis.client.config('SET', 'maxclients', '100');
  await eventually(hasDone);
  await eventually(async () => (await faults.checks.redis_refuses()).ok);
});

test('what one queue is refused stays told, however many jobs another queue does', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  const open = (queue: 'mail' | 'logs') => {
    const worker = idleWorker(t, redis, queue);
    pauseOnRedisErrors({ queue, worker, faults, log: createRecordingLogger().log });
    return worker;
  };
  const faults = createDependencyFaults();
  const [mail, logs] = [open('mail'), open('logs')];
  const refused = refusalOf('NOREPLICAS Not enough good replicas to write.');
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

test('without a job, a refusal is over when none has followed for a while', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  const worker = idleWorker(t, redis);
  const faults = createDependencyFaults();
  pauseOnRedisErrors({ queue: 'mail', worker, faults, log: createRecordingLogger().log }, 50);
  for (let i = 0; i < 20; i++) worker.emit('error', refusalOf('READONLY'));
  t.false((await faults.checks.redis_refuses()).ok);
  await eventually(async () => (await faults.checks.redis_refuses()).ok);
});

test('only an answer of Redis is a refusal, wherever it has put its word for it', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  const worker = idleWorker(t, redis);
  const faults = createDependencyFaults();
  const refusals = pauseOnRedisErrors({
    queue: 'mail',
    worker,
    faults,
    log: createRecordingLogger().log,
  });
  worker.emit('error', new Error('Missing lock for job 1'));
  t.is(refusals.sinceLastMs(), Infinity);

  const refused = refusalOf(
    'ERR Error running script (call to f_1): @user_script:10: -MISCONF Redis cannot save',
  );
  for (let i = 0; i < 20; i++) worker.emit('error', refused);
  t.true(Number.isFinite(refusals.sinceLastMs()));
  t.regex((await faults.checks.redis_refuses()).problem ?? '', /^Redis refuses commands: MISCONF /);
  t.true((await faults.checks.redis_refuses_logs()).ok);
});

test('a queue that an operator has paused is not worked on until it is resumed', async (t) => {
  const pause = { reason: 'they move', by: 'ada', since: new Date() };
  const { redis, queues, hasDone } = await setUp(t, (_redis, { mail }) => mail.pause(pause));
  // The worker waits for jobs, and there is one.
  await eventually(async () => String(await redis.client.client('LIST')).includes('cmd=bzpopmin'));
  t.like(await queues.mail.state(), { counts: { waiting: 1, active: 0 }, paused: pause });
  t.false(hasDone());
  t.is(await queues.mail.countRunnable(), 0, 'the watchdog does not miss it');
  await queues.mail.resume();
  await eventually(hasDone);
  t.is((await queues.mail.state()).paused, undefined);
});

/** A worker that takes no job: it hears of nothing but what a test emits. */
function idleWorker(t: ExecutionContext, redis: OwnRedis, queue: 'mail' | 'logs' = 'mail') {
  const worker = new Worker<unknown, string>(queue, async () => 'done', {
    connection: { ...redisAddress(redis.url), maxRetriesPerRequest: null },
    autorun: false,
  });
  t.teardown(() => worker.close());
  return worker;
}

const refusalOf = (message: string): Error =>
  Object.assign(new Error(message), { name: 'ReplyError' });

/** A worker with one job, and a Redis to which this is done just before it starts. */
async function setUp(
  t: ExecutionContext,
  spoil: (redis: OwnRedis, queues: Queues) => Promise<unknown>,
) {
  const redis = await openOwnRedis(t, { maxMemory: '16mb' });
  const { log, lines } = createRecordingLogger();
  const queues = openQueues({ url: redis.url, logsUrl: redis.url }, log);
  t.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  const job = { id: `j-${randomUUID()}`, contract: sayJob, data: { v: 1 } } as const;
  // A busy machine may take longer than a command has.
  await eventually(() => queues.mail.add(job).then(() => true));
  await spoil(redis, queues);

  const faults = createDependencyFaults();
  const worker = startJobWorker({
    metrics: createMetrics('worker'),
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
    queues,
    faults,
    pauses: () => lines.filter(({ msg }) => String(msg).endsWith('; consumer paused')),
    hasDone: () => lines.some(({ msg }) => msg === 'job completed'),
  };
}

test('closed, every mail passes, many at a time', (t) => {
  const { pass } = setUpBreaker();
  t.true([pass(), pass(), pass()].every(Boolean));
});

test('after a failure all rest; then one tries, and the others wait for it', (t) => {
  const { breaker, pass, wait } = setUpBreaker();
  t.is(recordUnreachable(pass()), 1_000);
  t.is(requestPermit(breaker), 1_000);
  wait(400);
  t.is(requestPermit(breaker), 600);
  wait(600);
  t.truthy(pass());
  t.is(typeof requestPermit(breaker), 'number');
  t.is(requestPermit(breaker), 1_000);
});

test('each failure of the one that tries doubles the rest, up to ten seconds', (t) => {
  const { pass, wait } = setUpBreaker();
  const rests = Array.from({ length: 6 }, () => {
    const pauseMs = recordUnreachable(pass());
    wait(pauseMs);
    return pauseMs;
  });
  t.deepEqual(rests, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

test('mails that were under way when it failed count as the same failure', (t) => {
  const { pass, wait } = setUpBreaker();
  const inFlight = [pass(), pass(), pass()];
  t.deepEqual(
    inFlight.map((permit) => recordUnreachable(permit)),
    [1_000, 1_000, 1_000],
  );
  wait(1_000);
  t.is(recordUnreachable(pass()), 2_000);
});

test('the first mail that gets through lets all go again, and a later failure starts small', (t) => {
  const { pass, wait } = setUpBreaker();
  recordUnreachable(pass());
  wait(1_000);
  recordReached(pass());
  t.truthy(pass());
  t.is(recordUnreachable(pass()), 1_000);
});

test('one that tried nothing after all makes way for another', (t) => {
  const { breaker, pass, wait } = setUpBreaker();
  recordUnreachable(pass());
  wait(1_000);
  const probe = pass();
  t.is(typeof requestPermit(breaker), 'number');
  releasePermit(probe);
  t.truthy(pass());
});

test('a mail from before the outage that ends late does not let a second one try', (t) => {
  const { breaker, pass, wait } = setUpBreaker();
  const late = pass();
  recordUnreachable(pass());
  wait(1_000);
  pass();
  releasePermit(late);
  t.is(typeof requestPermit(breaker), 'number');
});

test('it tells once that the server is away, and once that it is back', (t) => {
  const { pass, turns, wait } = setUpBreaker();
  recordReached(pass());
  const inFlight = [pass(), pass()];
  for (const permit of inFlight) recordUnreachable(permit);
  wait(1_000);
  recordUnreachable(pass());
  t.deepEqual(turns, ['open']);
  wait(2_000);
  recordReached(pass());
  recordReached(pass());
  t.deepEqual(turns, ['open', 'closed']);
});

test('one that got no session is not alone if another under way gets through, by a session if the server has replied', async (t) => {
  const { pass } = setUpBreaker();
  const [refused, other] = [pass(), pass()];
  const byReply = othersGetThrough(refused, true);
  const bySuccess = othersGetThrough(refused, false);
  recordSession(other);
  t.true(await byReply);
  recordReached(other);
  t.true(await bySuccess);
});

test('with nobody else under way, or all of them waiting for each other, nobody gets through', async (t) => {
  const { pass } = setUpBreaker();
  const permits = [pass(), pass(), pass()];
  const asked = permits.map((permit) => othersGetThrough(permit, true));
  t.deepEqual(await Promise.all(asked), [false, false, false]);
  for (const permit of permits) releasePermit(permit);
  t.false(await othersGetThrough(pass(), true));
});

test('an open session says nothing where the server has said nothing', async (t) => {
  const { pass } = setUpBreaker();
  const [refused, other] = [pass(), pass()];
  recordSession(other);
  const others = othersGetThrough(refused, false);
  releasePermit(other);
  t.false(await others);
});

function setUpBreaker() {
  let now = 0;
  const turns: string[] = [];
  const breaker = createCircuitBreaker(
    (state) => void turns.push(state),
    () => now,
  );
  const pass = (): SendPermit => {
    const permit = requestPermit(breaker);
    if (typeof permit === 'number') throw new Error(`paused for ${permit} ms`);
    return permit;
  };
  return { breaker, turns, pass, wait: (ms: number) => void (now += ms) };
}
