import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { folderName, noOwner } from '../../../shared/log-shipping/folder-owner.js';
import { eventually } from '../../helpers/eventually.js';
import { createRoute, createSpoolFixture, line, upTo } from './spool-fixture.js';

test.serial('the oldest batch grows old until its receipt is found', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool, ship } = fixture.open();
  t.is(spool.use().oldestSeconds, 0);
  for (const number of upTo(500)) spool.write(line(number));
  await eventually(() => spool.use().bytes > 0);
  const { now } = Date;
  t.teardown(() => (Date.now = now));
  Date.now = () => now() + 1_000_000;
  const isThousand = (): boolean => Math.abs(spool.use().oldestSeconds - 1_000) < 30;
  t.true(isThousand(), 'while it waits');
  Date.now = () => now() - 1_000_000;
  t.is(spool.use().oldestSeconds, 0, 'a clock that was set back');
  Date.now = () => now() + 1_000_000;

  const route = createRoute();
  ship(route.asRoute());
  await eventually(() => route.asked.receipts >= 1);
  t.true(isThousand(), 'while it is in flight');
  route.arrive();
  await eventually(() => spool.use().oldestSeconds === 0);
});

test.serial('a batch that is taken over is as old as its file', async (t) => {
  const fixture = await createSpoolFixture(t);
  const folder = join(fixture.dir, folderName('00000000-0000-4000-8000-000000000000', noOwner));
  await mkdir(folder);
  const path = join(folder, '000000001.ndjson');
  await writeFile(path, line(1));
  const before = new Date(Date.now() - 1_200_000);
  await utimes(path, before, before);
  const { spool, ship } = fixture.open();
  t.is(spool.use().oldestSeconds, 0, 'a folder of another process');
  ship(createRoute().asRoute());
  await eventually(() => Math.abs(spool.use().oldestSeconds - 1_200) < 30);
});
