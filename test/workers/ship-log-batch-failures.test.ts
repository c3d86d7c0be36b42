import test from 'ava';
import { shipLogBatch } from '../../shared/jobs/ship-log-batch.js';
import { JobReturned, QueueThrottled } from '../../workers/jobs/job-effects.js';
import { recordsOf } from '../../workers/logs/log-batch.js';
import { shareProcess } from '../helpers/context.js';
import { lines, openStrictServer, openServer, openLogFixture } from './log-fixture.js';
import { jobContext } from './fixture.js';

shareProcess();

/** As Firehose answers a call of which it takes these records. */
function answersOf(records: readonly string[], isTaken: (i: number) => boolean) {
  const answers = records.map((_, i) => (isTaken(i) ? { RecordId: 'r' } : { ErrorCode: 'Slow' }));
  const FailedPutCount = records.filter((_, i) => !isTaken(i)).length;
  return { FailedPutCount, RequestResponses: answers };
}

// Serial: all tests share the environment variable with the endpoint's address.
for (const count of [1, 3, 40]) {
  test.serial(
    `a stream that rejects every record is misconfigured: none of ${count} is skipped, the queue pauses`,
    async (t) => {
      const server = await openStrictServer(t, /./);
      const { ship, logged, problem, receipts } = openLogFixture(t, server.url);
      const context = jobContext();
      const error = await t.throwsAsync(ship(lines(count), context), {
        instanceOf: QueueThrottled,
      });
      t.is(error?.pauseMs, 60_000);
      t.regex((await problem()) ?? '', /InvalidArgumentException/);
      t.deepEqual([logged(), receipts, context.replaced], [[], [], []]);
      t.true(server.calls() <= 40, `${server.calls()} calls`);

      server.acceptAll();
      t.is(await ship(lines(count), context), 'shipped');
      t.deepEqual(server.taken, lines(count));
      t.is(await problem(), undefined);
    },
  );
}

test.serial('records accepted before a call failed are not put again', async (t) => {
  let calls = 0;
  const taken: string[] = [];
  const server = await openServer(t, (records) => {
    calls += 1;
    if (calls > 1) return { status: 500, body: { __type: 'InternalFailure', message: 'no' } };
    const isTaken = (i: number): boolean => i % 3 > 0;
    taken.push(...records.filter((_, i) => isTaken(i)));
    return { status: 200, body: answersOf(records, isTaken) };
  });
  const { ship } = openLogFixture(t, server);
  const context = jobContext();
  await t.throwsAsync(ship(lines(9), context), { instanceOf: QueueThrottled });
  const left = await recordsOf(shipLogBatch.schema.parse(context.replaced[0]));
  t.is(left.length, 3);
  t.deepEqual([...taken, ...left.map(String)].toSorted(), lines(9).toSorted());
});

test.serial(
  'a Redis that cannot keep what is left does not hide the failure of the stream, and is logged',
  async (t) => {
    const server = await openServer(t, (records) =>
      records.length > 3
        ? { status: 200, body: answersOf(records, (i) => i % 3 > 0) }
        : { status: 500, body: { __type: 'InternalFailure', message: 'no' } },
    );
    const { ship, logged } = openLogFixture(t, server);
    const context = jobContext();
    context.replaceData = () => Promise.reject(new Error('Redis is away'));
    const error = await t.throwsAsync(ship(lines(9), context), { instanceOf: QueueThrottled });
    t.regex(error?.message ?? '', /InternalFailure/);
    t.deepEqual(logged(), [['accepted records not taken out of the batch', undefined]]);
  },
);

test.serial('records accepted during halving are not put again when a call fails', async (t) => {
  const taken: string[] = [];
  const server = await openServer(t, (records) => {
    const isPoisoned = records.some((record) => record === 'poison\n');
    if (isPoisoned) return { status: 400, body: { __type: 'ValidationException', message: 'no' } };
    if (taken.length > 5)
      return { status: 500, body: { __type: 'InternalFailure', message: 'no' } };
    taken.push(...records);
    const RequestResponses = records.map(() => ({ RecordId: 'r' }));
    return { status: 200, body: { FailedPutCount: 0, RequestResponses } };
  });
  const { ship, logged } = openLogFixture(t, server);
  const batch = lines(16).with(2, 'poison\n');
  const context = jobContext();
  await t.throwsAsync(ship(batch, context), { instanceOf: QueueThrottled });
  const left = await recordsOf(shipLogBatch.schema.parse(context.replaced[0]));
  t.is(logged().length, 1, 'the stream has accepted others: this record is at fault');
  t.deepEqual([...taken, ...left.map(String)].toSorted(), batch.toSpliced(2, 1).toSorted());
});

test.serial('records accepted before the process stops are not put again', async (t) => {
  let calls = 0;
  const context = jobContext();
  const server = await openServer(t, (records) => {
    calls += 1;
    if (calls > 1) {
      context.abort();
      return { status: 500, body: { __type: 'InternalFailure', message: 'no' } };
    }
    const answers = records.map((_, i) => (i === 0 ? { ErrorCode: 'Slow' } : { RecordId: 'r' }));
    return { status: 200, body: { FailedPutCount: 1, RequestResponses: answers } };
  });
  const { ship } = openLogFixture(t, server);
  await t.throwsAsync(ship(lines(4), context), { instanceOf: JobReturned });
  const left = await recordsOf(shipLogBatch.schema.parse(context.replaced[0]));
  t.deepEqual(left.map(String), lines(1));
});
