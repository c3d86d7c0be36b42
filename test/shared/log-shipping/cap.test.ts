import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import {
  addDropped,
  createDroppedLines,
  takeUnreported,
} from '../../../shared/log-shipping/dropped-lines.js';
import { shareProcess, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRoute, KIB, MIB, createSpoolFixture, upTo } from './spool-fixture.js';

shareProcess();

type Fields = Record<string, unknown>;
const parse = (text: string): Fields => JSON.parse(text) as Fields;

test('above its size the spool drops the oldest lines, and a record says how many and their time range', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { log, spool, ship, printed } = fixture.open({ maxBytes: 8 * MIB });
  const route = createRoute();
  route.isRefusing = true;
  ship(route.asRoute());
  const filler = 'x'.repeat(100 * KIB);
  for (const number of upTo(150)) {
    log.info({ 'labels.number': number, 'labels.filler': filler }, 'filling');
    if (number % 10 === 0) await turn();
  }
  await eventually(() => printed().includes('log lines dropped'));
  // Lines dropped while the record is written are reported by the next one.
  const onDisk = async (): Promise<Fields[]> => (await fixture.lines()).map(parse);
  const isComplete = async (): Promise<boolean> => {
    const lines = await onDisk();
    const kept = lines.filter(({ message }) => message === 'filling').length;
    const reported = lines
      .filter((line) => line['event.action'] === 'gap')
      .reduce((sum, line) => sum + Number(line['labels.dropped_lines']), 0);
    return kept + reported === 150 && spool.use().droppedLines === reported;
  };
  await eventually(isComplete, { of: 'every line being on disk or reported as dropped' });

  const lines = await onDisk();
  const numbers = lines.flatMap((line) => line['labels.number'] ?? []);
  t.deepEqual(numbers, upTo(150).slice(150 - numbers.length), 'what is left are the newest lines');
  t.true(numbers.length * 100 * KIB > 6 * MIB, 'no more is dropped than must be');
  const all = printed().trimEnd().split('\n').map(parse);
  const gap = lines.find((line) => line['event.action'] === 'gap');
  t.is(gap?.['message'], 'log lines dropped');
  t.is(gap?.['event.start'], all[0]?.['@timestamp']);
});

test('a gap is recorded at any log level', async (t) => {
  const fixture = await createSpoolFixture(t);
  const { spool, ship, printed } = fixture.open({ maxBytes: MIB, level: 'fatal' });
  const route = createRoute();
  route.isRefusing = true;
  ship(route.asRoute());
  for (const number of upTo(33)) {
    spool.write(`${JSON.stringify({ number, filler: 'x'.repeat(100 * KIB) })}\n`);
  }
  await t.notThrowsAsync(eventually(() => printed().includes('log lines dropped')));
});

test('copies of batches in flight are deleted first, and counted only if the queue loses them', async (t) => {
  const { fixture, spool, route } = await deleteCopies(t);
  t.is(spool.use().droppedLines, 0);
  route.states.clear();
  await eventually(() => spool.use().droppedLines > 0);
  const left = (await fixture.lines()).filter((line) => !line.includes('"event.action":"gap"'));
  await eventually(() => left.length + spool.use().droppedLines === 60, {
    of: 'every line being on disk or counted as dropped',
  });
});

test('a batch whose copy was deleted is settled by its receipt', async (t) => {
  const { spool, route, local } = await deleteCopies(t);
  route.arrive();
  const asked = route.asked.receipts;
  await eventually(() => route.asked.receipts > asked + 1);
  t.is(spool.use().droppedLines, 0);
  t.deepEqual(local.messages(), []);
});

/** Sixty lines of 100 KiB, each segment enqueued before the next is filled, in a spool for forty lines. */
async function deleteCopies(scope: Scope) {
  const fixture = await createSpoolFixture(scope);
  const { spool, ship, local } = fixture.open({ maxBytes: 4 * MIB });
  const route = createRoute();
  ship(route.asRoute());
  for (const number of upTo(60)) {
    spool.write(`${JSON.stringify({ number, filler: 'x'.repeat(100 * KIB) })}\n`);
    const segments = Math.floor(number / 11);
    if (number % 11 === 10) await eventually(() => route.added.length > segments);
  }
  await eventually(async () => (await fixture.segments()).length <= 4);
  return { fixture, spool, route, local };
}

test('the lines of a dropped gap record are reported again', (t) => {
  const dropped = createDroppedLines();
  const at = (second: number): string => `2026-01-01T00:00:0${second}.000Z`;
  const gap = {
    '@timestamp': at(9),
    'event.action': 'gap',
    'event.start': at(1),
    'event.end': at(3),
    'labels.dropped_lines': 7,
  };
  addDropped(
    dropped,
    `${JSON.stringify({ '@timestamp': at(4), message: 'a' })}\n${JSON.stringify(gap)}\n`,
  );
  addDropped(
    dropped,
    `${JSON.stringify({ '@timestamp': at(5), message: '"event.action":"gap"' })}\n`,
  );
  t.is(dropped.total, 2);
  t.deepEqual(takeUnreported(dropped), { lines: 9, from: at(1), to: at(5) });
  t.is(takeUnreported(dropped), undefined);
});
