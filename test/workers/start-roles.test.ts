import test from 'ava';
import { Queue } from 'bullmq';
import { loadWorkerConfig } from '../../shared/config/config.js';
import { queuePrefix } from '../../shared/queues/registry.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { buildDeps } from '../../workers/deps.js';
import { createDrain } from '../../workers/jobs/drain.js';
import { startRoles } from '../../workers/start-roles.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openOwnRedis } from '../helpers/own-redis.js';

shareProcess();

const context = useContext();

test.serial('no part that takes its time to stop keeps the others from stopping', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const config = loadWorkerConfig(
    environment(context, { REDIS_URL: redis.url, WORKER_ROLES: 'mail,relay' }),
  );
  const { log } = createRecordingLogger();
  const deps = await buildDeps(config, {
    log,
    localLog: log,
    onStop: (_, release) =>
      t.teardown(async () => release({ reason: 'the test is over', exitCode: 0 })),
  });
  let finish: () => void = () => undefined;
  const task = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const releases: (() => Promise<void> | void)[] = [];
  const cause = { reason: 'the test is over', exitCode: 0 };
  startRoles(
    config,
    { ...deps, tasks: { ...deps.tasks, stop: () => task } },
    {
      onStop: (_, release) => void releases.unshift(() => release(cause)),
      stop: async () => undefined,
    },
    createDrain(log),
  );
  const queue = new Queue('mail', {
    connection: redisAddress(redis.url),
    prefix: queuePrefix('mail'),
  });
  t.teardown(() => queue.close());
  await eventually(async () => (await queue.getWorkersCount()) === 1);

  let hasStopped = false;
  const stopped = (async () => {
    for (const release of releases) await release();
    hasStopped = true;
  })();
  await eventually(async () => (await queue.getWorkersCount()) === 0);
  t.false(hasStopped, 'it waits for that part');
  finish();
  await stopped;
});
