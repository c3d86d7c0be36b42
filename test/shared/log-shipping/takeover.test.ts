import { randomUUID } from 'node:crypto';
import { closeSync } from 'node:fs';
import {
  appendFile,
  mkdir,
  readdir,
  rename,
  stat,
  symlink,
  unlink,
  utimes,
} from 'node:fs/promises';
import { brotliDecompressSync } from 'node:zlib';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { shipLogBatch } from '../../../shared/jobs/ship-log-batch.js';
import { createBacklog } from '../../../shared/log-shipping/backlog.js';
import { appendLines, openSegmentFile } from '../../../shared/log-shipping/segment-file.js';
import {
  folderName,
  noOwner,
  thisProcess,
  type FolderOwner,
} from '../../../shared/log-shipping/folder-owner.js';
import { openSpoolFolders } from '../../../shared/log-shipping/spool-folders.js';
import { startTakeover } from '../../../shared/log-shipping/takeover.js';
import { eventually } from '../../helpers/eventually.js';
import {
  createRoute,
  deadLocalOwner,
  line,
  livingLocalOwner,
  numbersOf,
  createSpoolFixture,
  remoteOwner,
  upTo,
  type SpoolFixture,
} from './spool-fixture.js';
import { shareProcess } from '../../helpers/context.js';
import { createRecordingLogger } from '../../helpers/log.js';

shareProcess();

/** Leaves the folder of a killed process: a full segment, and one with a torn last line. */
async function leaveFolder(
  fixture: Pick<SpoolFixture, 'dir'>,
  owner: FolderOwner,
): Promise<{ id: string; path: string }> {
  const id = randomUUID();
  const path = join(fixture.dir, folderName(id, owner));
  await mkdir(path);
  for (const sequence of [0, 1]) {
    const file = openSegmentFile(path, sequence);
    const text = Buffer.from(line(sequence * 2) + line(sequence * 2 + 1));
    appendLines(file, { text, count: 2 });
    closeSync(file.fd);
  }
  await appendFile(join(path, '000000001.ndjson'), '{"number":"torn');
  return { id, path };
}

const shippedNumbers = (route: ReturnType<typeof createRoute>): unknown[] =>
  route.added.flatMap(({ data }) =>
    numbersOf(
      brotliDecompressSync(Buffer.from(shipLogBatch.schema.parse(data).lines, 'base64'))
        .toString()
        .split(/(?<=\n)/),
    ),
  );

test('segments of a dead process are shipped under their ids, without the torn line, before own ones', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { id } = await leaveFolder(fixture, deadLocalOwner());
  const opened = fixture.open({ me: thisProcess() });
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
  await eventually(async () => !(await readdir(fixture.dir)).some((name) => name.startsWith(id)));
});

test('a batch that was shipped before its process died is not shipped again', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { id } = await leaveFolder(fixture, deadLocalOwner());
  const route = createRoute();
  route.shipped.add(`l-${id}-0`);
  route.states.set(`l-${id}-1`, { state: 'active' });
  const opened = fixture.open({ me: thisProcess() });
  opened.ship(route.asRoute());
  await eventually(() => route.asked.states >= 2);
  await eventually(async () => (await fixture.segments()).length <= 2);
  t.false(route.added.some((job) => job.id.includes(id)));
});

test('of many processes that scan at once exactly one takes a folder over', async (t) => {
  const fixture = await createSpoolFixture(t);
  const left = await Promise.all(upTo(5).map(() => leaveFolder(fixture, noOwner)));
  const routes = upTo(4).map(() => {
    const route = createRoute();
    fixture.open().ship(route.asRoute());
    return route;
  });
  const takenOver = (): string[] =>
    routes
      .flatMap(({ added }) => added.map((job) => job.id))
      .filter((id) => left.some((folder) => id.includes(folder.id)));
  await eventually(() => takenOver().length >= 10);
  t.is(new Set(takenOver()).size, 10);
  t.is(takenOver().length, 10);
});

test('a folder is taken over after a minute without a heartbeat, and not while its owner lives', async (t) => {
  const fixture = await createSpoolFixture(t);
  const living = await leaveFolder(fixture, livingLocalOwner());
  const away = await leaveFolder(fixture, remoteOwner());
  const silent = await leaveFolder(fixture, remoteOwner());
  const aMinuteAgo = new Date(Date.now() - 61_000);
  await utimes(silent.path, aMinuteAgo, aMinuteAgo);
  const route = createRoute();
  fixture.open({ me: thisProcess() }).ship(route.asRoute());
  await eventually(() => route.added.length >= 2);
  t.true(route.added.slice(0, 2).every(({ id }) => id.includes(silent.id)));
  const names = await readdir(fixture.dir);
  for (const { id } of [living, away])
    t.true(names.some((name) => name.startsWith(id) && !name.includes(silent.id)));
  t.false(route.added.some(({ id }) => id.includes(living.id) || id.includes(away.id)));
});

test('an owner sends heartbeats: its folder is touched', async (t) => {
  const fixture = await createSpoolFixture(t);
  fixture.open();
  const [name = ''] = await readdir(fixture.dir);
  const path = join(fixture.dir, name);
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(path, longAgo, longAgo);
  await t.notThrowsAsync(eventually(async () => Date.now() - (await stat(path)).mtimeMs < 10_000));
});

test('lines that another process has taken over are not counted as dropped', async (t) => {
  const fixture = await createSpoolFixture(t);
  const late = fixture.open();
  for (const number of upTo(1_000)) late.spool.write(line(number));
  await turn();
  const [name = ''] = await readdir(fixture.dir);
  // As after a minute in which the process was suspended.
  await rename(join(fixture.dir, name), join(fixture.dir, folderName(name.slice(0, 36), noOwner)));
  const lateRoute = createRoute();
  late.ship(lateRoute.asRoute());
  const route = createRoute();
  fixture.open().ship(route.asRoute());
  await eventually(() => lateRoute.added.length + route.added.length >= 2);
  const shipped = [...shippedNumbers(lateRoute), ...shippedNumbers(route)];
  // The line about the takeover, which has no number, may have been shipped as well.
  t.is(new Set(shipped.filter((number) => number !== undefined)).size, 1_000);
  t.is(late.spool.use().droppedLines, 0);
  late.spool.write(line(1_000));
  await eventually(() => [...shippedNumbers(lateRoute), ...shippedNumbers(route)].includes(1_000), {
    of: 'the line after that',
  });
});

test('other folders are left alone', async (t) => {
  const fixture = await createSpoolFixture(t);
  await mkdir(join(fixture.dir, 'lost+found'));
  await leaveFolder(fixture, deadLocalOwner());
  const opened = fixture.open({ me: thisProcess() });
  const route = createRoute();
  opened.ship(route.asRoute());
  await eventually(() => route.added.length >= 2);
  await turn();
  t.true((await readdir(fixture.dir)).includes('lost+found'));
  t.deepEqual(opened.local.messages(), []);
});

test('a folder that cannot be listed is tried again with every scan', async (t) => {
  const { dir } = await createSpoolFixture(t);
  const owner = thisProcess();
  const { path } = await leaveFolder({ dir }, deadLocalOwner());
  const unreadable = '000000002.ndjson';
  await symlink(unreadable, join(path, unreadable));
  const folders = openSpoolFolders({ dir, owner, onLost: () => undefined });
  t.teardown(() => folders.release());
  const backlog = createBacklog();
  const { log, messages } = createRecordingLogger();
  const onTakenOver = (): void => undefined;
  const takeover = startTakeover({ dir, owner, folders, backlog, onTakenOver, log, localLog: log });
  t.teardown(() => takeover.stop());
  await eventually(() => messages().length >= 1);
  t.deepEqual(messages(), ['spool takeover failed']);
  t.is(backlog.waiting.size, 0);

  const left = (await readdir(dir)).find((name) => path.includes(name.slice(0, 36))) ?? '';
  await unlink(join(dir, left, unreadable));
  takeover.runNow();
  await eventually(() => backlog.waiting.size === 2, { of: 'both segments' });
});
