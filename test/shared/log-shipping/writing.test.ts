import { readFileSync, readdirSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { shipLogBatch, unpackLines } from '../../../shared/jobs/ship-log-batch.js';
import { eventually } from '../../helpers/eventually.js';
import { createRoute, KIB, line, numbersOf, createSpoolFixture, upTo } from './spool-fixture.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

test('the lines of one turn are on disk before they are on stdout', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool, printed } = fixture.open();
  for (const number of upTo(3)) spool.write(line(number));
  t.is(printed(), '', 'nothing is written before the turn is over');
  await turn();
  t.deepEqual(
    await fixture.lines(),
    upTo(3).map((number) => line(number)),
  );
  t.is(
    printed(),
    upTo(3)
      .map((number) => line(number))
      .join(''),
  );
});

test('a fatal line does not wait for the end of the turn', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { log, printed } = fixture.open();
  log.info('first');
  log.fatal('last');
  t.is(printed().split('\n').length, 3);
  const [folder = ''] = readdirSync(fixture.dir);
  t.is(readFileSync(join(fixture.dir, folder, '000000000.ndjson'), 'utf8'), printed());
});

test('a segment ends at 500 lines, and a turn may fill several', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool } = fixture.open();
  for (const number of upTo(1_001)) spool.write(line(number));
  await turn();
  const counts = await Promise.all(
    (await fixture.segments()).map(
      async (path) => (await readFile(path, 'utf8')).split('\n').length - 1,
    ),
  );
  t.deepEqual(counts, [500, 500, 1]);
  t.deepEqual(numbersOf(await fixture.lines()), upTo(1_001));
});

test('a segment ends at 1 MiB, however few its lines', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool } = fixture.open();
  for (const number of upTo(12)) spool.write(line(number, 100 * KIB));
  await turn();
  const sizes = await Promise.all(
    (await fixture.segments()).map(async (path) => (await stat(path)).size),
  );
  t.deepEqual(sizes, [1_100 * KIB, 100 * KIB]);
});

test('a single line is shipped without waiting for another', async (t) => {
  const fixture = await createSpoolFixture(t);
  const opened = fixture.open();
  const route = createRoute();
  opened.ship(route.asRoute());
  opened.spool.write(line(0));
  await turn();
  t.is(route.added.length, 0);
  await eventually(() => route.added.length === 1);
  const payload = shipLogBatch.schema.parse(route.added[0]?.data);
  t.is((await unpackLines(payload)).toString(), line(0));
});

test('folders and segments are readable by their user only', async (t) => {
  const fixture = await createSpoolFixture(t);
  fixture.open().spool.write(line(0));
  await turn();
  const [path = ''] = await fixture.segments();
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.is((await stat(dirname(path))).mode & 0o777, 0o700);
});

test('a line over 256 KiB is truncated', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool, printed } = fixture.open();
  const whole = `${JSON.stringify({ message: 'm'.repeat(300 * KIB), 'event.id': 'e' })}\n`;
  spool.write(whole);
  await turn();
  const [text = ''] = await fixture.lines();
  t.is(printed(), text);
  t.like(JSON.parse(text), { 'event.id': 'e', 'labels.cut': true });
});

test('a closed spool releases its folder, and prints later lines', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool, printed } = fixture.open();
  spool.write(line(0));
  spool.close();
  spool.close();
  t.deepEqual(await fixture.owners(), ['-']);
  t.deepEqual(numbersOf(await fixture.lines()), [0]);
  spool.write(line(1));
  await turn();
  t.is(printed(), line(0) + line(1));
  t.deepEqual(numbersOf(await fixture.lines()), [0]);
});

test('a closed empty spool leaves nothing', async (t) => {
  const fixture = await createSpoolFixture(t);
  fixture.open().spool.close();
  t.deepEqual(await fixture.owners(), []);
});

test('lines that cannot be spooled are on stdout all the same, counted, and reported once', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool, log, printed, local, ship } = fixture.open();
  ship(createRoute().asRoute());
  // A file in the place of the directory: not even root can create anything there.
  await rm(fixture.dir, { recursive: true });
  await writeFile(fixture.dir, '');
  for (const number of upTo(20)) {
    log.info({ 'labels.number': number }, 'unspooled');
    await turn();
  }
  t.is(printed().split('\n').length - 1, 20);
  t.is(spool.use().droppedLines, 20);
  t.deepEqual(
    local.messages().filter((message) => message === 'spool write failed'),
    ['spool write failed'],
  );

  await rm(fixture.dir);
  await eventually(async () => {
    log.info('is there room again?');
    await turn();
    return printed().includes('log lines dropped');
  });
  const record = printed()
    .split('\n')
    .find((text) => text.includes('log lines dropped'));
  const gap = JSON.parse(record ?? '') as Record<string, unknown>;
  t.is(gap['event.action'], 'gap');
  t.is(gap['labels.dropped_lines'], spool.use().droppedLines);
  const first = JSON.parse(printed().split('\n')[0] ?? '') as Record<string, unknown>;
  t.is(gap['event.start'], first['@timestamp']);
  t.true(String(gap['event.end']) >= String(gap['event.start']));
  await eventually(async () => (await fixture.lines()).some((text) => text === `${record}\n`));
});

test('lines in a folder that is deleted are counted, and later lines go to a new folder', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool, local } = fixture.open();
  for (const number of upTo(502)) spool.write(line(number));
  await turn();
  const [path = ''] = await fixture.segments();
  await rm(dirname(path), { recursive: true });
  await eventually(() => local.messages().includes('spool folder lost'));
  t.is(spool.use().droppedLines, 502);
  spool.write(line(502));
  await turn();
  t.deepEqual(numbersOf(await fixture.lines()), [502]);
});

test('a process whose folder was taken over writes to a new one, and counts no line as dropped', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool, local, me } = fixture.open();
  for (const number of upTo(501)) spool.write(line(number));
  await turn();
  const [folder = ''] = readdirSync(fixture.dir);
  await rename(join(fixture.dir, folder), join(fixture.dir, folder.replaceAll(me.host, 'another')));
  await eventually(() => local.messages().includes('spool folder lost'));
  spool.write(line(501));
  await turn();
  t.is(spool.use().droppedLines, 0);
  const numbers = numbersOf(await fixture.lines());
  t.deepEqual([numbers.length, new Set(numbers).size], [502, 502]);
  t.is((await fixture.owners()).length, 2);
});
