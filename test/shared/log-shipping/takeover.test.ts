import { randomUUID } from 'node:crypto';
import { closeSync } from 'node:fs';
import { appendFile, mkdir, readdir, rename, stat, utimes } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { shipLogBatch } from '../../../shared/jobs/ship-log-batch.js';
import { openSegmentFile } from '../../../shared/log-shipping/segment-file.js';
import {
  folderName,
  noOwner,
  thisProcess,
  type FolderOwner,
} from '../../../shared/log-shipping/folder-owner.js';
import { eventually } from '../../helpers/eventually.js';
import {
  createRoute,
  deadNeighbour,
  line,
  livingNeighbour,
  numbersOf,
  setSpoolStage,
  stranger,
  upTo,
  type SpoolStage,
} from './spool-fixture.js';

/** What a process leaves that is killed: full segments, and one that it was writing to. */
async function leaveBehind(
  stage: SpoolStage,
  owner: FolderOwner,
): Promise<{ id: string; path: string }> {
  const id = randomUUID();
  const path = join(stage.dir, folderName(id, owner));
  await mkdir(path);
  for (const sequence of [0, 1]) {
    const file = openSegmentFile(path, sequence);
    file.append([line(sequence * 2), line(sequence * 2 + 1)], 0);
    closeSync(file.fd);
  }
  await appendFile(join(path, '000000001.ndjson'), '{"number":"torn');
  return { id, path };
}

const shippedNumbers = (route: ReturnType<typeof createRoute>): unknown[] =>
  route.added.flatMap(({ data }) =>
    numbersOf(
      gunzipSync(Buffer.from(shipLogBatch.schema.parse(data).lines, 'base64'))
        .toString()
        .split(/(?<=\n)/),
    ),
  );

test('what a dead process left is shipped under its own ids, without the torn line, before one’s own', async (t) => {
  const stage = await setSpoolStage(t);
  const { id } = await leaveBehind(stage, deadNeighbour());
  const opened = stage.open({ me: thisProcess() });
  const route = createRoute();
  opened.ship(route.asRoute());
  await eventually(() => route.added.length >= 2);
  t.deepEqual(
    route.added.slice(0, 2).map((job) => job.id),
    [`l-${id}-0`, `l-${id}-1`],
  );
  t.deepEqual(shippedNumbers(route).slice(0, 4), upTo(4));
  await eventually(() => opened.printed().includes('"labels.segments":2'));

  route.arrive();
  await eventually(async () => !(await readdir(stage.dir)).some((name) => name.startsWith(id)));
});

test('what was shipped before its process died is not shipped again', async (t) => {
  const stage = await setSpoolStage(t);
  const { id } = await leaveBehind(stage, deadNeighbour());
  const route = createRoute();
  route.shipped.add(`l-${id}-0`);
  route.states.set(`l-${id}-1`, { state: 'active' });
  const opened = stage.open({ me: thisProcess() });
  opened.ship(route.asRoute());
  await eventually(() => route.asked.states >= 2);
  await eventually(async () => (await stage.segments()).length <= 2);
  t.false(route.added.some((job) => job.id.includes(id)));
});

test('of many who look at once exactly one takes a folder over', async (t) => {
  const stage = await setSpoolStage(t);
  const left = await Promise.all(upTo(5).map(() => leaveBehind(stage, noOwner)));
  const routes = upTo(4).map(() => {
    const route = createRoute();
    stage.open().ship(route.asRoute());
    return route;
  });
  const adopted = (): string[] =>
    routes
      .flatMap(({ added }) => added.map((job) => job.id))
      .filter((id) => left.some((folder) => id.includes(folder.id)));
  await eventually(() => adopted().length >= 10);
  t.is(new Set(adopted()).size, 10);
  t.is(adopted().length, 10);
});

test('a folder whose owner lives is left alone; one that has been silent for a minute is not', async (t) => {
  const stage = await setSpoolStage(t);
  const living = await leaveBehind(stage, livingNeighbour());
  const away = await leaveBehind(stage, stranger());
  const silent = await leaveBehind(stage, stranger());
  const aMinuteAgo = new Date(Date.now() - 61_000);
  await utimes(silent.path, aMinuteAgo, aMinuteAgo);
  const route = createRoute();
  stage.open({ me: thisProcess() }).ship(route.asRoute());
  await eventually(() => route.added.length >= 2);
  t.true(route.added.slice(0, 2).every(({ id }) => id.includes(silent.id)));
  const names = await readdir(stage.dir);
  for (const { id } of [living, away])
    t.true(names.some((name) => name.startsWith(id) && !name.includes(silent.id)));
  t.false(route.added.some(({ id }) => id.includes(living.id) || id.includes(away.id)));
});

test('an owner shows that it lives: its folder is touched', async (t) => {
  const stage = await setSpoolStage(t);
  stage.open();
  const [name = ''] = await readdir(stage.dir);
  const path = join(stage.dir, name);
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(path, longAgo, longAgo);
  await t.notThrowsAsync(eventually(async () => Date.now() - (await stat(path)).mtimeMs < 10_000));
});

test('what another has taken over is not counted as dropped by whoever had it', async (t) => {
  const stage = await setSpoolStage(t);
  const late = stage.open();
  for (const number of upTo(1_000)) late.spool.write(line(number));
  await turn();
  const [name = ''] = await readdir(stage.dir);
  // As after a minute in which it stood still.
  await rename(join(stage.dir, name), join(stage.dir, folderName(name.slice(0, 36), noOwner)));
  const lateRoute = createRoute();
  late.ship(lateRoute.asRoute());
  const route = createRoute();
  stage.open().ship(route.asRoute());
  await eventually(() => lateRoute.added.length + route.added.length >= 2);
  const shipped = [...shippedNumbers(lateRoute), ...shippedNumbers(route)];
  t.is(new Set(shipped).size, 1_000);
  t.is(late.spool.droppedLines, 0);
  late.spool.write(line(1_000));
  await eventually(() => [...shippedNumbers(lateRoute), ...shippedNumbers(route)].includes(1_000), {
    of: 'the line after that',
  });
});

test('what is no folder of a spool is left alone', async (t) => {
  const stage = await setSpoolStage(t);
  await mkdir(join(stage.dir, 'lost+found'));
  await leaveBehind(stage, deadNeighbour());
  const opened = stage.open({ me: thisProcess() });
  const route = createRoute();
  opened.ship(route.asRoute());
  await eventually(() => route.added.length >= 2);
  await turn();
  t.true((await readdir(stage.dir)).includes('lost+found'));
  t.deepEqual(opened.local.messages(), []);
});
