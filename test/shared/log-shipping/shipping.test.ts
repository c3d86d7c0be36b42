import { brotliDecompressSync } from 'node:zlib';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { shipLogBatch, UNREADABLE_BATCH } from '../../../shared/jobs/ship-log-batch.js';
import type { NewJob } from '../../../shared/queues/job-queue.js';
import { eventually } from '../../helpers/eventually.js';
import {
  createRoute,
  line,
  numbersOf,
  createSpoolFixture,
  upTo,
  type OpenedSpool,
} from './spool-fixture.js';

const linesOf = ({ data }: NewJob): string[] =>
  brotliDecompressSync(Buffer.from(shipLogBatch.schema.parse(data).lines, 'base64'))
    .toString()
    .split(/(?<=\n)/);

/** Writes enough lines for one segment. */
function fill({ spool }: OpenedSpool, from = 0): void {
  for (const number of upTo(500)) spool.write(line(from + number));
}

test('a batch matches its contract, unpacks to the same lines, and has the id of its segment', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  opened.ship(route.asRoute());
  opened.spool.write('{"message":"one"}\n');
  opened.spool.write('{"message":"zwei ü \u{1F600}"}\n');
  await eventually(() => route.added.length === 1);
  const [job] = route.added;
  t.is(job?.contract.name, 'ship-log-batch');
  t.deepEqual(job && linesOf(job), ['{"message":"one"}\n', '{"message":"zwei ü \u{1F600}"}\n']);
  const [folder = ''] = await readdir(fixture.dir);
  t.is(job?.id, `l-${folder.slice(0, 36)}-0`);
});

test('segments are shipped oldest first, including those from before shipping started', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  for (const batch of upTo(3)) fill(opened, batch * 500);
  const route = createRoute();
  opened.ship(route.asRoute());
  await eventually(() => route.added.length === 3);
  t.deepEqual(numbersOf(route.added.flatMap(linesOf)), upTo(1_500));
});

test('a segment is kept until its receipt is found, and deleted then', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  opened.ship(route.asRoute());
  fill(opened);
  await eventually(() => route.asked.receipts >= 2);
  t.is((await fixture.segments()).length, 1);
  route.arrive();
  await eventually(async () => (await fixture.segments()).length === 0);
  t.is(route.added.length, 1);
  t.is(opened.spool.use().droppedLines, 0);
});

test('with nothing in flight Redis is not asked', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const idle = createRoute();
  opened.ship(idle.asRoute());
  const busy = createRoute();
  const neighbour = fixture.open();
  neighbour.ship(busy.asRoute());
  fill(neighbour);
  await eventually(() => busy.asked.receipts >= 2);
  t.deepEqual(idle.asked, { states: 0, receipts: 0 });
  t.is(busy.asked.states, 0, 'a recent batch is looked up among the receipts only');
});

test('a batch whose job Redis has lost is enqueued again under its id', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  opened.ship(route.asRoute());
  // More than are looked up at once.
  for (const batch of upTo(30)) fill(opened, batch * 500);
  await eventually(() => route.added.length === 30);
  const ids = route.added.map(({ id }) => id);
  route.states.clear();
  await eventually(() => route.added.length === 60);
  t.deepEqual(
    route.added
      .slice(30)
      .map(({ id }) => id)
      .toSorted(),
    ids.toSorted(),
  );
  route.arrive();
  await eventually(async () => (await fixture.segments()).length === 0);
});

test('a batch whose job is lost again is enqueued under the next generation of its id', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  opened.ship({
    ...route.asRoute(),
    queue: {
      ...route.queue,
      // Like a Redis that has kept the job but lost the lists that it was in.
      async add(job) {
        await route.queue.add(job);
        if (job.id === route.added[0]?.id) route.states.delete(job.id);
      },
    },
  });
  fill(opened);
  await eventually(() => route.added.length === 3);
  const id = route.added[0]?.id ?? '';
  t.deepEqual(
    route.added.map((job) => job.id),
    [id, id, `${id}-1`],
  );
  route.arrive();
  await eventually(async () => (await fixture.segments()).length === 0);
});

test('a batch that is shipped while its status is looked up is not enqueued again', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  opened.ship({
    ...route.asRoute(),
    queue: {
      ...route.queue,
      // It is shipped between the look-ups of its receipt and of its job.
      async stateOf(id) {
        route.arrive();
        return route.queue.stateOf(id);
      },
    },
  });
  fill(opened);
  await eventually(() => route.asked.states > 0);
  await eventually(async () => (await fixture.segments()).length === 0);
  t.is(route.added.length, 1);
});

test('a batch whose job the queue failed is enqueued under the next generation of its id', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  opened.ship(route.asRoute());
  fill(opened);
  await eventually(() => route.added.length === 1);
  const id = route.added[0]?.id ?? '';
  route.states.set(id, { state: 'failed', failedReason: '3 records were not taken' });
  await eventually(() => route.added.length === 2);
  t.is(route.added[1]?.id, `${id}-1`);
  route.arrive();
  await eventually(async () => (await fixture.segments()).length === 0);
});

test('a batch that can never be unpacked is enqueued three times, then dropped and counted', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  opened.ship(route.asRoute());
  fill(opened);
  for (const attempts of [1, 2, 3]) {
    await eventually(() => route.added.length === attempts);
    const id = route.added.at(-1)?.id ?? '';
    route.states.set(id, { state: 'failed', failedReason: UNREADABLE_BATCH });
  }
  await eventually(() => opened.spool.use().droppedLines === 500);
  t.is(route.added.length, 3);
});

test('without room in Redis nothing is enqueued; it resumes by itself', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  let asked = 0;
  route.hasRoom = false;
  opened.ship({
    ...route.asRoute(),
    room: {
      async has(bytes) {
        asked += 1;
        t.true(bytes > 0);
        return route.hasRoom;
      },
    },
  });
  fill(opened);
  fill(opened, 500);
  await eventually(() => asked >= 2);
  t.is(route.added.length, 0);
  route.hasRoom = true;
  await eventually(() => route.added.length === 2);
});

test('a failed add is retried, and a batch that may be queued is looked up before it is added again', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  let refusals = 0;
  opened.ship({
    ...route.asRoute(),
    queue: {
      ...route.queue,
      // It adds the job, but the answer is lost.
      async add(job) {
        await route.queue.add(job);
        refusals += 1;
        throw new Error('Command timed out');
      },
    },
  });
  fill(opened);
  await eventually(() => route.asked.states > 0);
  route.arrive();
  await eventually(async () => (await fixture.segments()).length === 0);
  t.deepEqual([refusals, route.added.length], [1, 1]);
});

test('a stop seals and enqueues what is there, and retries until its deadline', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  route.isRefusing = true;
  const shipping = opened.ship(route.asRoute());
  opened.spool.write(line(0));
  const stopped = shipping.stop(20_000);
  await eventually(() => route.asked.states > 0);
  route.isRefusing = false;
  await stopped;
  t.is(route.added.length, 1);
  t.is((await fixture.segments()).length, 1, 'it has no receipt');
});

test('a stop ends at its deadline, and leaves the rest to the next process', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  route.isRefusing = true;
  const shipping = opened.ship(route.asRoute());
  opened.spool.write(line(0));
  await shipping.stop(300);
  await shipping.stop(0);
  opened.spool.close();
  t.deepEqual(await fixture.owners(), ['-']);

  const next = fixture.open();
  const works = createRoute();
  next.ship(works.asRoute());
  await eventually(() => works.added.length > 0);
  t.deepEqual(numbersOf(works.added.flatMap(linesOf).slice(0, 1)), [0]);
});

test('a missing segment, or one without a whole line, does not block the others', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  for (const batch of upTo(3)) fill(opened, batch * 500);
  await turn();
  const [first = '', second = ''] = await fixture.segments();
  await rm(first);
  await writeFile(second, '{"torn":');
  const route = createRoute();
  opened.ship(route.asRoute());
  await eventually(() => route.added.length >= 1);
  t.deepEqual(
    numbersOf(linesOf(route.added[0] ?? { id: '', contract: shipLogBatch, data: {} })),
    upTo(500).map((n) => n + 1_000),
  );
  t.is(opened.spool.use().droppedLines, 500);
});
