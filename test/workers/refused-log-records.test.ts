import { randomUUID } from 'node:crypto';
import test from 'ava';
import { Queue } from 'bullmq';
import { packLines, shipLogBatch } from '../../shared/jobs/ship-log-batch.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { queuePrefix, queueRegistry } from '../../shared/queues/registry.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import {
  JobDelayed,
  JobReturned,
  QueueThrottled,
  QueueThrottledJobDelayed,
} from '../../workers/jobs/job-effects.js';
import { recordsOf } from '../../workers/logs/log-batch.js';
import { startJobWorker } from '../../workers/jobs/start-worker.js';
import { useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { jobContext, openFixture } from './fixture.js';
import { lines, openLogFixture, openServer } from './log-fixture.js';

const context = useContext();

const POISON = '{"poison":1}\n';

// Serial: all tests share the file's Redis and the environment variable with the endpoint's address.
for (const code of ['InternalFailure', 'ServiceUnavailableException']) {
  test.serial(
    `batches with a record that is never accepted (${code}) do not hold up the others; their attempts count`,
    async (t) => {
      const firehose = await openFirehose(t, () => code);
      const { add, queue } = await startShipping(t, firehose.url);
      const poisoned = await Promise.all(
        Array.from({ length: 5 }, (_, i) => add([POISON, ...lines(i + 1)])),
      );
      // Each of them is down to its bad record.
      await eventually(() => firehose.taken.length === 15);
      const good = lines(100).map((line) => line.replace('n', 'good'));
      for (const line of good) await add([line]);
      await eventually(() => good.every((line) => firehose.taken.includes(line)), {
        of: 'the shipping of the other batches',
      });
      for (const id of poisoned)
        await eventually(async () => ((await queue.getJob(id))?.attemptsMade ?? 0) >= 2);
      t.is(firehose.taken.length, 115, 'nothing was put twice');
    },
  );
}

test.serial(
  'a record refused until the last attempt is skipped and its batch shipped',
  async (t) => {
    const firehose = await openFirehose(t, () => 'InternalFailure');
    const { add, queue, receipts, logged } = await startShipping(t, firehose.url);
    const id = await add([POISON, ...lines(3)], 2);
    await eventually(() => receipts.includes(id));
    await eventually(async () => (await queue.getJob(id)) === undefined);
    t.deepEqual(logged(), [['log record skipped', 'InternalFailure']]);
    t.deepEqual(firehose.taken, lines(3));
  },
);

test.serial(
  'a record that is throttled in the last attempt stays, delayed by itself',
  async (t) => {
    const codes = ['InternalFailure', 'ServiceUnavailableException'];
    const firehose = await openFirehose(t, (record) => codes[record.includes('busy') ? 1 : 0]);
    const { ship, logged, receipts } = openLogFixture(t, firehose.url);
    const last = jobContext({ isFirstAttempt: false, isLastAttempt: true });
    await ship(lines(1));
    await t.throwsAsync(ship([POISON, '{"poison":"busy"}\n'], last), { instanceOf: JobDelayed });
    t.deepEqual(logged(), [['log record skipped', 'InternalFailure']]);
    const left = await recordsOf(shipLogBatch.schema.parse(last.replaced[0]));
    t.deepEqual(left.map(String), ['{"poison":"busy"}\n']);
    t.is(receipts.length, 1);
  },
);

test.serial('while the stream accepts nothing, no record is skipped', async (t) => {
  const firehose = await openFirehose(t, () => 'InternalFailure');
  const { ship, logged } = openLogFixture(t, firehose.url);
  const last = jobContext({ isFirstAttempt: false, isLastAttempt: true });
  await t.throwsAsync(ship([POISON], last), { instanceOf: JobDelayed });
  t.deepEqual([logged(), last.replaced], [[], []]);
});

test.serial(
  'a fresh batch that is throttled whole throttles the queue; the rest of one does not',
  async (t) => {
    const firehose = await openFirehose(t, () => 'ServiceUnavailableException');
    const { ship } = openLogFixture(t, firehose.url);
    await t.throwsAsync(ship([POISON, POISON]), { instanceOf: QueueThrottledJobDelayed });
    const error = await t.throwsAsync(ship([POISON], jobContext({ isFirstAttempt: false })));
    t.false(error instanceof QueueThrottled);
  },
);

test.serial('at shutdown no refused record is skipped', async (t) => {
  const last = jobContext({ isFirstAttempt: false, isLastAttempt: true });
  const firehose = await openFirehose(t, () => {
    last.abort();
    return 'InternalFailure';
  });
  const { ship, logged } = openLogFixture(t, firehose.url);
  await t.throwsAsync(ship([POISON, ...lines(2)], last), { instanceOf: JobReturned });
  t.deepEqual(logged(), []);
});

/** A Firehose that answers poison with this code, each time, and accepts the rest. */
async function openFirehose(scope: Scope, codeOf: (record: string) => string | undefined) {
  const taken: string[] = [];
  const url = await openServer(scope, (records) => {
    const RequestResponses = records.map((record) =>
      record.includes('poison') ? { ErrorCode: codeOf(record) } : { RecordId: 'r' },
    );
    taken.push(...records.filter((record) => !record.includes('poison')));
    const FailedPutCount = records.filter((record) => record.includes('poison')).length;
    return { status: 200, body: { FailedPutCount, RequestResponses } };
  });
  return { url, taken };
}

/** A worker on the queue of logs, and a way to add batches to it. */
async function startShipping(scope: Scope, url: string) {
  const logFixture = openLogFixture(scope, url);
  const { queues, log } = await openFixture(scope, context);
  const queue = new Queue('logs', {
    connection: redisAddress(context.redisUrl),
    prefix: queuePrefix('logs'),
  });
  scope.teardown(() => queue.close());
  await queue.obliterate({ force: true });
  const worker = startJobWorker({
    jobs: shipLogBatch,
    process: logFixture.process,
    producer: queues.logs,
    log,
    metrics: logFixture.metrics,
    successLevel: 'debug',
    redisUrl: context.redisUrl,
    faults: createDependencyFaults(),
    settings: queueRegistry.logs.consumer,
    onStalled: () => undefined,
  });
  scope.teardown(() => worker.stop(100));
  return {
    ...logFixture,
    queue,
    async add(batch: readonly string[], attempts: number = queueRegistry.logs.jobs.attempts) {
      const id = `l-${randomUUID()}`;
      await queue.add(shipLogBatch.name, await packLines(Buffer.from(batch.join(''))), {
        jobId: id,
        attempts,
        backoff: { type: 'jittered' },
        removeOnComplete: true,
      });
      return id;
    },
  };
}
