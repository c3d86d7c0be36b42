import test from 'ava';
import { Queue } from 'bullmq';
import { loadWorkerConfig } from '../../shared/config/config.js';
import { queuePrefix } from '../../shared/queues/registry.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { buildDeps, type WorkerDeps } from '../../workers/deps.js';
import { createDrain } from '../../workers/jobs/drain.js';
import { startRoles } from '../../workers/start-roles.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openOwnRedis } from '../helpers/own-redis.js';

shareProcess();

const context = useContext();

test('no part that takes its time to stop keeps the others from stopping', async (t) => {
  const { redis, start } = await setUp(t, 'mail,relay');
  let finish: () => void = () => undefined;
  const task = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const { stop } = start((deps) => ({ ...deps, tasks: { ...deps.tasks, stop: () => task } }));
  const queue = new Queue('mail', {
    connection: redisAddress(redis.url),
    prefix: queuePrefix('mail'),
  });
  t.teardown(() => queue.close());
  await eventually(async () => (await queue.getWorkersCount()) === 1);

  let hasStopped = false;
  const stopped = stop().then(() => {
    hasStopped = true;
  });
  await eventually(async () => (await queue.getWorkersCount()) === 0);
  t.false(hasStopped, 'it waits for that part');
  finish();
  await stopped;
});

test('a worker that has no mail to send learns that another has sent one, drained too', async (t) => {
  const { deps, start } = await setUp(t, 'mail');
  deps.faults.raise('smtp', 'nothing is accepted');
  const { drain, stop } = start();
  await drain.start();
  const [message] = await context.rows<{ id: string }>(
    `insert into outbox (id, name, payload, trace_id, state, outcome, settled_at)
     values (gen_random_uuid(), 'send-confirmation-mail', '{}', '', 'settled', 'sent', now()) returning id`,
  );
  await context.rows(
    `insert into deliveries (outbox_id, attempt, worker, outcome, finished_at)
     values ($1, 1, 'another', 'sent', now())`,
    [message?.id],
  );
  await t.notThrowsAsync(eventually(async () => (await deps.faults.checks.smtp()).ok));
  await stop();
});

test('a worker that has no log lines to ship learns that another has shipped some', async (t) => {
  const { deps, start } = await setUp(t, 'logs', {
    FIREHOSE_DELIVERY_STREAM: 'logs',
    AWS_REGION: 'eu-central-1',
  });
  deps.faults.raise('firehose', 'no access');
  const earlierMs = 180_000;
  const raisedAt: typeof deps.faults.raisedAt = (name) => {
    const at = deps.faults.raisedAt(name);
    return at === undefined ? undefined : at - earlierMs;
  };
  await eventually(() => deps.queues.receipts.write('of another').then(() => true));
  const { stop } = start((given) => ({ ...given, faults: { ...given.faults, raisedAt } }));
  await t.notThrowsAsync(eventually(async () => (await deps.faults.checks.firehose()).ok));
  await stop();
});

/** A worker whose roles are not started yet. */
async function setUp(t: Scope, roles: string, more: Readonly<Record<string, string>> = {}) {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const config = loadWorkerConfig(
    environment(context, { REDIS_URL: redis.url, WORKER_ROLES: roles, ...more }),
  );
  const { log } = createRecordingLogger();
  const cause = { reason: 'the test is over', exitCode: 0 };
  const deps = await buildDeps(config, {
    log,
    localLog: log,
    onStop: (_, release) => t.teardown(async () => release(cause)),
  });
  const start = (change = (given: WorkerDeps) => given) => {
    const releases: (() => Promise<void> | void)[] = [];
    const drain = createDrain(log);
    startRoles(
      config,
      change(deps),
      {
        onStop: (_, release) => void releases.unshift(() => release(cause)),
        stop: async () => undefined,
      },
      drain,
    );
    const stop = async (): Promise<void> => {
      for (const release of releases) await release();
    };
    return { drain, stop };
  };
  return { redis, deps, start };
}
