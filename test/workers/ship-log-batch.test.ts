import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../../dev/emulators/firehose/firehose-endpoint.js';
import { packLines, shipLogBatch } from '../../shared/jobs/ship-log-batch.js';
import { JobReturned, PermanentFailure, QueueThrottled } from '../../workers/jobs/job-effects.js';
import { recordsOf } from '../../workers/logs/log-batch.js';
import type { Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { lines, openPickyServer, openServer, openLogFixture } from './log-fixture.js';
import { jobContext } from './fixture.js';

let dataDir: string;
let endpoint: FirehoseEndpoint;

test.before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'rollcall-firehose-'));
  endpoint = await openFirehoseEndpoint({ dataDir, port: 0, host: '127.0.0.1' });
});
test.after.always(async () => {
  await endpoint.close();
  await rm(dataDir, { recursive: true });
});

// One endpoint, whose faults all calls share, and one environment that says where it is.
test.serial('a batch is one call, each line one record, in order', async (t) => {
  const { ship, arrived, callsSince } = await setUp(t);
  const calls = callsSince();
  t.is(await ship(lines(500)), 'shipped');
  t.is(calls(), 1);
  t.deepEqual(await arrived(), lines(500));
});

test.serial('only what was not taken is put again', async (t) => {
  const { ship, arrived, callsSince } = await setUp(t);
  const calls = callsSince();
  endpoint.setFaults({ failEvery: 3, failCalls: 1 });
  t.is(await ship(lines(9)), 'shipped');
  t.is(calls(), 2);
  const records = await arrived();
  t.is(records.length, 9);
  t.deepEqual(records.toSorted(), lines(9).toSorted());
});

test.serial(
  'what is not taken after several calls is left for the next try of the job, and nothing else',
  async (t) => {
    const { ship, arrived, callsSince } = await setUp(t);
    const calls = callsSince();
    endpoint.setFaults({ failEvery: 1 });
    const tried = jobContext();
    await t.throwsAsync(ship(lines(3), tried), {
      message: '3 records were not taken',
      instanceOf: QueueThrottled,
    });
    t.is(calls(), 4);
    t.deepEqual(tried.replaced, []);

    endpoint.setFaults({ failEvery: 2 });
    const again = jobContext();
    // Of 40 the second half of each call's rest fails: 20, 10, 5, 2 are left.
    // Some were taken: it is these records that have trouble, and that counts.
    t.false((await t.throwsAsync(ship(lines(40), again))) instanceof QueueThrottled);
    endpoint.resetFaults();
    const left = await recordsOf(shipLogBatch.schema.parse(again.replaced[0]));
    t.true(left.length > 0 && left.length < 5, String(left.length));
    t.is(await ship(left.map(String)), 'shipped');
    t.deepEqual((await arrived()).toSorted(), lines(40).toSorted());
  },
);

for (const mode of ['throttle', 'unavailable', 'down'] as const) {
  test.serial(
    `a call that fails as a whole (${mode}) rests the queue for some seconds, and counts as nothing`,
    async (t) => {
      const { ship, arrived, problem } = await setUp(t);
      endpoint.setFaults({ mode });
      const tried = jobContext({ isLastAttempt: true });
      const error = await t.throwsAsync(ship(lines(2), tried), { instanceOf: QueueThrottled });
      t.true((error?.pauseMs ?? 0) >= 1_000 && (error?.pauseMs ?? 0) <= 5_000);
      t.deepEqual(tried.replaced, []);
      t.is(await problem(), undefined);
      endpoint.resetFaults();
      t.is(await ship(lines(2)), 'shipped');
      t.deepEqual(await arrived(), lines(2));
    },
  );
}

test.serial('at shutdown a call that hangs is given up and the job handed back', async (t) => {
  const { ship, callsSince } = await setUp(t);
  const calls = callsSince();
  endpoint.setFaults({ mode: 'hang' });
  const tried = jobContext();
  const shipping = ship(lines(2), tried);
  await eventually(() => calls() === 1);
  tried.abort();
  await t.throwsAsync(shipping, { instanceOf: JobReturned });
  await t.throwsAsync(ship(lines(2), tried), { instanceOf: JobReturned });
});

test.serial(
  'a record too large for any call is left out and told locally; the others go',
  async (t) => {
    const { ship, arrived, told } = await setUp(t);
    const large = `${'x'.repeat(1_024_001)}\n`;
    const fitting = `${'y'.repeat(1_023_999)}\n`;
    t.is(await ship(['a\n', large, fitting, 'b\n']), 'shipped');
    t.deepEqual(
      (await arrived()).map((line) => line[0]),
      ['a', 'y', 'b'],
    );
    t.deepEqual(told(), [['log record skipped', 'is too large']]);
  },
);

test.serial('a batch that is more than a call takes goes in several calls', async (t) => {
  const { ship, arrived, callsSince } = await setUp(t);
  const calls = callsSince();
  const six = Array.from({ length: 6 }, (_, i) => `${String(i).repeat(1_000_000)}\n`);
  t.is(await ship(six), 'shipped');
  t.is(calls(), 2);
  t.deepEqual(
    (await arrived()).map((line) => line[0]),
    ['0', '1', '2', '3', '4', '5'],
  );
  await ship(lines(501));
  t.is(calls(), 4);
});

test.serial(
  'a record that Firehose refuses is found by halving and left out; the others go',
  async (t) => {
    const strict = await openPickyServer(t, /poison/);
    const { ship, told } = await setUp(t, strict.url);
    const batch = lines(17);
    batch[11] = 'poison\n';
    t.is(await ship(batch), 'shipped');
    t.deepEqual(strict.taken.toSorted(), batch.toSpliced(11, 1).toSorted());
    t.is(told().length, 1);
  },
);

test.serial('a record over the limit is left out even when it is alone', async (t) => {
  const { ship, told } = await setUp(t);
  t.is(await ship([`${'x'.repeat(1_024_001)}\n`]), 'shipped');
  t.is(told().length, 1);
});

for (const type of [
  'ResourceNotFoundException',
  'AccessDeniedException',
  'InvalidSignatureException',
]) {
  test.serial(
    `${type} rests the queue for a minute and turns readiness red until a batch has gone`,
    async (t) => {
      const server = await openPickyServer(t, /./, type);
      const { ship, problem } = await setUp(t, server.url);
      const error = await t.throwsAsync(ship(lines(1)), { instanceOf: QueueThrottled });
      t.is(error?.pauseMs, 60_000);
      t.regex((await problem()) ?? '', new RegExp(type));
      server.relent();
      t.is(await ship(lines(1)), 'shipped');
      t.is(await problem(), undefined);
    },
  );
}

test.serial('an answer that does not fit the call is not believed', async (t) => {
  const server = await openServer(t, () => ({
    status: 200,
    body: { FailedPutCount: 0, RequestResponses: [] },
  }));
  const { ship } = await setUp(t, server);
  await t.throwsAsync(ship(lines(2)), { instanceOf: QueueThrottled, message: /cannot be read/ });
});

test.serial('a batch that cannot be unpacked is given up', async (t) => {
  const { process } = await setUp(t);
  await t.throwsAsync(process({ v: 1, lines: 'AAAA' }, jobContext()), {
    instanceOf: PermanentFailure,
  });
});

test.serial('a batch gets its receipt once all of it is on the stream, not before', async (t) => {
  const { ship, receipts } = await setUp(t);
  const tried = jobContext();
  endpoint.setFaults({ failEvery: 1 });
  await t.throwsAsync(ship(lines(2), tried));
  t.deepEqual(receipts, []);
  endpoint.resetFaults();
  await ship(lines(2), tried);
  t.deepEqual(receipts, [tried.jobId]);
});

test.serial('a batch that has its receipt is not put again when its job comes back', async (t) => {
  const { ship, arrived } = await setUp(t);
  const tried = jobContext();
  t.is(await ship(lines(2), tried), 'shipped');
  t.is(await ship(lines(2), tried), 'already');
  t.deepEqual(await arrived(), lines(2));
});

test.serial(
  'receipts that cannot be read or written are told locally; the batch is shipped',
  async (t) => {
    const { ship, receiptBook, told, arrived } = await setUp(t);
    receiptBook.isLost = true;
    t.is(await ship(lines(1)), 'shipped');
    t.is((await arrived()).length, 1);
    t.deepEqual(told(), [
      ['receipt lookup failed; batch may be shipped twice', undefined],
      ['receipt write failed; batch may be shipped twice', undefined],
    ]);
  },
);

test.serial('lines keep their newline, empty ones are no records', async (t) => {
  const records = await recordsOf(await packLines(Buffer.from('a\n\nb')));
  t.deepEqual(records.map(String), ['a\n', 'b\n']);
});

/** The shipping, and the endpoint that arrived lines are read from. */
async function setUp(scope: Scope, url = endpoint.url) {
  endpoint.resetFaults();
  const fixture = openLogFixture(scope, url);
  return {
    ...fixture,
    arrived: async () => (await endpoint.records(fixture.stream)).map(textOf),
    callsSince() {
      const { calls } = endpoint.stats();
      return () => endpoint.stats().calls - calls;
    },
  };
}

/** What is one JSON object on one line is kept as such, all else in base64. */
const textOf = ({ document, data = '' }: { document?: object; data?: string }): string =>
  document ? `${JSON.stringify(document)}\n` : Buffer.from(data, 'base64').toString();
