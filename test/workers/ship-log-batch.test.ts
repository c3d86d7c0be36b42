import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../../dev/emulators/firehose/firehose-endpoint.js';
import { packLines, shipLogBatch } from '../../shared/jobs/ship-log-batch.js';
import { JobReturned, PermanentFailure, QueueThrottled } from '../../workers/jobs/job-effects.js';
import { recordsOf } from '../../workers/logs/log-batch.js';
import { shareProcess, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { lines, openStrictServer, openServer, openLogFixture } from './log-fixture.js';
import { jobContext } from './fixture.js';

shareProcess();

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

// Serial: all tests share the endpoint's faults and the environment variable with its address.
test.serial('a batch is one call, each line one record, in order', async (t) => {
  const { ship, arrived, callsSince } = await setUp(t);
  const calls = callsSince();
  t.is(await ship(lines(500)), 'shipped');
  t.is(calls(), 1);
  t.deepEqual(await arrived(), lines(500));
});

test.serial('only records that were not accepted are put again', async (t) => {
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
  'only records that are not accepted after several calls stay in the job for its next attempt',
  async (t) => {
    const { ship, arrived, callsSince } = await setUp(t);
    const calls = callsSince();
    endpoint.setFaults({ failEvery: 1 });
    const context = jobContext();
    await t.throwsAsync(ship(lines(3), context), {
      message: '3 records were not taken: ServiceUnavailableException',
      instanceOf: QueueThrottled,
    });
    t.is(calls(), 4);
    t.deepEqual(context.replaced, []);

    endpoint.setFaults({ failEvery: 2 });
    const again = jobContext();
    // Every second record fails: of 40, 20, 10, 5 and 2 are left.
    // Some were accepted, so these records are at fault: the attempt counts.
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
    `a call that fails as a whole (${mode}) pauses the queue for seconds, and does not count as an attempt`,
    async (t) => {
      const { ship, arrived, problem } = await setUp(t);
      endpoint.setFaults({ mode });
      const context = jobContext({ isLastAttempt: true });
      const error = await t.throwsAsync(ship(lines(2), context), { instanceOf: QueueThrottled });
      t.true((error?.pauseMs ?? 0) >= 1_000 && (error?.pauseMs ?? 0) <= 5_000);
      t.deepEqual(context.replaced, []);
      t.is(await problem(), undefined);
      endpoint.resetFaults();
      t.is(await ship(lines(2)), 'shipped');
      t.deepEqual(await arrived(), lines(2));
    },
  );
}

test.serial(
  'at shutdown a hanging call is aborted and the job returned to the queue',
  async (t) => {
    const { ship, callsSince } = await setUp(t);
    const calls = callsSince();
    endpoint.setFaults({ mode: 'hang' });
    const context = jobContext();
    const shipping = ship(lines(2), context);
    await eventually(() => calls() === 1);
    context.abort();
    await t.throwsAsync(shipping, { instanceOf: JobReturned });
    await t.throwsAsync(ship(lines(2), context), { instanceOf: JobReturned });
  },
);

test.serial(
  'a record too large for any call is skipped and logged locally; the others are shipped',
  async (t) => {
    const { ship, arrived, logged } = await setUp(t);
    const large = `${'x'.repeat(1_024_001)}\n`;
    const fitting = `${'y'.repeat(1_023_999)}\n`;
    t.is(await ship(['a\n', large, fitting, 'b\n']), 'shipped');
    t.deepEqual(
      (await arrived()).map((line) => line[0]),
      ['a', 'y', 'b'],
    );
    t.deepEqual(logged(), [['log record skipped', 'is too large']]);
  },
);

test.serial('a batch over the limit of a call is split into several calls', async (t) => {
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
  'a record that Firehose rejects is found by halving and skipped; the others are shipped',
  async (t) => {
    const strict = await openStrictServer(t, /poison/);
    const { ship, logged } = await setUp(t, strict.url);
    const batch = lines(17);
    batch[11] = 'poison\n';
    t.is(await ship(batch), 'shipped');
    t.deepEqual(strict.taken.toSorted(), batch.toSpliced(11, 1).toSorted());
    t.is(logged().length, 1);
  },
);

test.serial('a record over the limit is skipped even when it is alone', async (t) => {
  const { ship, logged } = await setUp(t);
  t.is(await ship([`${'x'.repeat(1_024_001)}\n`]), 'shipped');
  t.is(logged().length, 1);
});

for (const type of [
  'ResourceNotFoundException',
  'AccessDeniedException',
  'InvalidSignatureException',
]) {
  test.serial(
    `${type} pauses the queue for a minute and fails readiness until a batch is shipped`,
    async (t) => {
      const server = await openStrictServer(t, /./, type);
      const { ship, problem } = await setUp(t, server.url);
      const error = await t.throwsAsync(ship(lines(1)), { instanceOf: QueueThrottled });
      t.is(error?.pauseMs, 60_000);
      t.regex((await problem()) ?? '', new RegExp(type));
      server.acceptAll();
      t.is(await ship(lines(1)), 'shipped');
      t.is(await problem(), undefined);
    },
  );
}

test.serial('a response that does not match the call is a failure', async (t) => {
  const server = await openServer(t, () => ({
    status: 200,
    body: { FailedPutCount: 0, RequestResponses: [] },
  }));
  const { ship } = await setUp(t, server);
  await t.throwsAsync(ship(lines(2)), { instanceOf: QueueThrottled, message: /cannot be read/ });
});

test.serial('a batch that an earlier version packed is shipped', async (t) => {
  const { process, arrived } = await setUp(t);
  const packed = gzipSync(lines(2).join('')).toString('base64');
  t.is(await process({ v: 1, lines: packed }, jobContext()), 'shipped');
  t.deepEqual(await arrived(), lines(2));
});

test.serial('a batch that cannot be unpacked fails permanently', async (t) => {
  const { process } = await setUp(t);
  await t.throwsAsync(process({ v: 1, lines: 'AAAA' }, jobContext()), {
    instanceOf: PermanentFailure,
  });
});

test.serial('a batch gets its receipt once all of it is on the stream, not before', async (t) => {
  const { ship, receipts } = await setUp(t);
  const context = jobContext();
  endpoint.setFaults({ failEvery: 1 });
  await t.throwsAsync(ship(lines(2), context));
  t.deepEqual(receipts, []);
  endpoint.resetFaults();
  await ship(lines(2), context);
  t.deepEqual(receipts, [context.jobId]);
});

test.serial('a batch with a receipt is not put again when its job is retried', async (t) => {
  const { ship, arrived } = await setUp(t);
  const context = jobContext();
  t.is(await ship(lines(2), context), 'shipped');
  t.is(await ship(lines(2), context), 'already');
  t.deepEqual(await arrived(), lines(2));
});

test.serial(
  'receipts that cannot be read or written are logged locally; the batch is shipped',
  async (t) => {
    const { ship, receiptStore, logged, arrived } = await setUp(t);
    receiptStore.isLost = true;
    t.is(await ship(lines(1)), 'shipped');
    t.is((await arrived()).length, 1);
    t.deepEqual(logged(), [
      ['receipt lookup failed; batch may be shipped twice', undefined],
      ['receipt write failed; batch may be shipped twice', undefined],
    ]);
  },
);

test.serial('lines keep their newline, and empty lines are skipped', async (t) => {
  const records = await recordsOf(await packLines(Buffer.from('a\n\nb')));
  t.deepEqual(records.map(String), ['a\n', 'b\n']);
});

/** A processor, and what has arrived at the endpoint. */
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

/** The endpoint keeps a line with one JSON object as such, and anything else in base64. */
const textOf = ({ document, data = '' }: { document?: object; data?: string }): string =>
  document ? `${JSON.stringify(document)}\n` : Buffer.from(data, 'base64').toString();
