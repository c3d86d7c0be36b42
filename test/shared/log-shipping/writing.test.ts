import { readFileSync, readdirSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { shipLogBatch, unpackLines } from '../../../shared/jobs/ship-log-batch.js';
import { eventually } from '../../helpers/eventually.js';
import { createRoute, KIB, line, numbersOf, setSpoolStage, upTo } from './spool-fixture.js';

test('the lines of one turn are on disk before they are on stdout', async (t) => {
  const stage = await setSpoolStage(t);
  const { spool, printed } = stage.open();
  for (const number of upTo(3)) spool.write(line(number));
  t.is(printed(), '', 'nothing is written before the turn is over');
  await turn();
  t.deepEqual(
    await stage.lines(),
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
  const stage = await setSpoolStage(t);
  const { log, printed } = stage.open();
  log.info('first');
  log.fatal('last');
  t.is(printed().split('\n').length, 3);
  const [folder = ''] = readdirSync(stage.dir);
  t.is(readFileSync(join(stage.dir, folder, '000000000.ndjson'), 'utf8'), printed());
});

test('a segment ends at 500 lines, and a turn may fill several', async (t) => {
  const stage = await setSpoolStage(t);
  const { spool } = stage.open();
  for (const number of upTo(1_001)) spool.write(line(number));
  await turn();
  const counts = await Promise.all(
    (await stage.segments()).map(
      async (path) => (await readFile(path, 'utf8')).split('\n').length - 1,
    ),
  );
  t.deepEqual(counts, [500, 500, 1]);
  t.deepEqual(numbersOf(await stage.lines()), upTo(1_001));
});

test('a segment ends at 1 MiB, however few its lines', async (t) => {
  const stage = await setSpoolStage(t);
  const { spool } = stage.open();
  for (const number of upTo(12)) spool.write(line(number, 100 * KIB));
  await turn();
  const sizes = await Promise.all(
    (await stage.segments()).map(async (path) => (await stat(path)).size),
  );
  t.deepEqual(sizes, [1_100 * KIB, 100 * KIB]);
});

test('a lonely line is shipped without another one to push it', async (t) => {
  const stage = await setSpoolStage(t);
  const opened = stage.open();
  const route = createRoute();
  opened.ship(route.asRoute());
  opened.spool.write(line(0));
  await turn();
  t.is(route.added.length, 0);
  await eventually(() => route.added.length === 1);
  const payload = shipLogBatch.schema.parse(route.added[0]?.data);
  t.is((await unpackLines(payload)).toString(), line(0));
});

test('folders and segments are for their owner alone', async (t) => {
  const stage = await setSpoolStage(t);
  stage.open().spool.write(line(0));
  await turn();
  const [path = ''] = await stage.segments();
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.is((await stat(dirname(path))).mode & 0o777, 0o700);
});

test('a line over 256 KiB is cut on disk, and whole on stdout', async (t) => {
  const stage = await setSpoolStage(t);
  const { spool, printed } = stage.open();
  const whole = `${JSON.stringify({ message: 'm'.repeat(300 * KIB), 'event.id': 'e' })}\n`;
  spool.write(whole);
  await turn();
  t.is(printed(), whole);
  const [text = ''] = await stage.lines();
  t.like(JSON.parse(text), { 'event.id': 'e', 'labels.cut': true });
});

test('closed, a spool leaves what is not shipped to anybody, and prints what still comes', async (t) => {
  const stage = await setSpoolStage(t);
  const { spool, printed } = stage.open();
  spool.write(line(0));
  spool.close();
  spool.close();
  t.deepEqual(await stage.owners(), ['-']);
  t.deepEqual(numbersOf(await stage.lines()), [0]);
  spool.write(line(1));
  await turn();
  t.is(printed(), line(0) + line(1));
  t.deepEqual(numbersOf(await stage.lines()), [0]);
});

test('closed with nothing in it, a spool leaves nothing', async (t) => {
  const stage = await setSpoolStage(t);
  stage.open().spool.close();
  t.deepEqual(await stage.owners(), []);
});

test('lines that cannot be spooled are on stdout all the same, counted, and told of once', async (t) => {
  const stage = await setSpoolStage(t);
  const { spool, log, printed, local, ship } = stage.open();
  ship(createRoute().asRoute());
  // A file in the place of the spool: nothing can be made there, not even by root.
  await rm(stage.dir, { recursive: true });
  await writeFile(stage.dir, '');
  for (const number of upTo(20)) {
    log.info({ 'labels.number': number }, 'unspooled');
    await turn();
  }
  t.is(printed().split('\n').length - 1, 20);
  t.is(spool.droppedLines, 20);
  t.deepEqual(
    local.messages().filter((message) => message === 'spool write failed'),
    ['spool write failed'],
  );

  await rm(stage.dir);
  await eventually(async () => {
    log.info('is there room again?');
    await turn();
    return printed().includes('log lines dropped');
  });
  const told = printed()
    .split('\n')
    .find((text) => text.includes('log lines dropped'));
  const gap = JSON.parse(told ?? '') as Record<string, unknown>;
  t.is(gap['event.action'], 'gap');
  t.is(gap['labels.dropped_lines'], spool.droppedLines);
  const first = JSON.parse(printed().split('\n')[0] ?? '') as Record<string, unknown>;
  t.is(gap['event.start'], first['@timestamp']);
  t.true(String(gap['event.end']) >= String(gap['event.start']));
  await eventually(async () => (await stage.lines()).some((text) => text === `${told}\n`));
});

test('what was in a folder that somebody removes is counted, and a new folder takes the rest', async (t) => {
  const stage = await setSpoolStage(t);
  const { spool, local } = stage.open();
  for (const number of upTo(502)) spool.write(line(number));
  await turn();
  const [path = ''] = await stage.segments();
  await rm(dirname(path), { recursive: true });
  await eventually(() => local.messages().includes('spool folder lost'));
  t.is(spool.droppedLines, 502);
  spool.write(line(502));
  await turn();
  t.deepEqual(numbersOf(await stage.lines()), [502]);
});

test('a process whose folder was taken over writes to a new one, and counts nothing as dropped', async (t) => {
  const stage = await setSpoolStage(t);
  const { spool, local, me } = stage.open();
  for (const number of upTo(501)) spool.write(line(number));
  await turn();
  const [folder = ''] = readdirSync(stage.dir);
  await rename(join(stage.dir, folder), join(stage.dir, folder.replaceAll(me.host, 'another')));
  await eventually(() => local.messages().includes('spool folder lost'));
  spool.write(line(501));
  await turn();
  t.is(spool.droppedLines, 0);
  const numbers = numbersOf(await stage.lines());
  t.deepEqual([numbers.length, new Set(numbers).size], [502, 502]);
  t.is((await stage.owners()).length, 2);
});
