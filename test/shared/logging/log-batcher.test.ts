import test from 'ava';
import { createLogBatcher, type LogBatch } from '../../../shared/logging/log-batcher.js';
import { eventually } from '../../helpers/eventually.js';

const KIB = 1_024;
const MIB = KIB * KIB;

/** A batcher whose taker can be told to refuse, and remembers what it took. */
function setUp() {
  const offered: LogBatch[] = [];
  const taken: LogBatch[] = [];
  const dropped: number[] = [];
  const taker = { isOpen: true, gate: Promise.resolve() };
  const batcher = createLogBatcher({
    async handOver(batch) {
      offered.push(batch);
      await taker.gate;
      if (!taker.isOpen) throw new Error('not now');
      taken.push(batch);
    },
    onDropped: (lines) => void dropped.push(lines),
  });
  const takenLines = (): string[] => taken.flatMap(({ lines }) => lines);
  return { batcher, taker, offered, taken, dropped, takenLines };
}

const line = (number: number, size = 0): string =>
  `${JSON.stringify({ number, filler: 'x'.repeat(Math.max(0, size - 30)) }).padEnd(size - 1)}\n`;
const numbersOf = (lines: readonly string[]): unknown[] =>
  lines.map((text) => (JSON.parse(text) as { number: unknown }).number);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test('a batch is sealed at 500 lines, at once', async (t) => {
  const { batcher, taken } = setUp();
  for (const number of upTo(1_001)) batcher.write(line(number));
  await eventually(() => taken.length >= 2);
  await batcher.close(1_000);
  t.deepEqual(
    taken.map(({ lines }) => lines.length),
    [500, 500, 1],
  );
});

test('a batch is sealed at 1 MiB, however few its lines', async (t) => {
  const { batcher, taken } = setUp();
  for (const number of upTo(11)) batcher.write(line(number, 100 * KIB));
  await eventually(() => taken.length === 1);
  t.is(taken[0]?.lines.length, 11);
  t.is(taken[0]?.bytes, 1_100 * KIB);
  await batcher.close(1_000);
});

test('a lonely line is handed over without another one to push it', async (t) => {
  const { batcher, taken } = setUp();
  batcher.write(line(0));
  t.is(taken.length, 0);
  await eventually(() => taken.length === 1);
  t.is(taken[0]?.bytes, Buffer.byteLength(line(0)));
  await batcher.close(1_000);
});

test('lines keep the order in which they were written, through refusals too', async (t) => {
  const { batcher, taker, takenLines } = setUp();
  taker.isOpen = false;
  for (const number of upTo(1_200)) batcher.write(line(number));
  taker.isOpen = true;
  await eventually(() => takenLines().length === 1_200);
  t.deepEqual(numbersOf(takenLines()), upTo(1_200));
  await batcher.close(1_000);
});

test('batches are handed over one at a time', async (t) => {
  const { batcher, taker, offered, taken } = setUp();
  let open = (): void => undefined;
  taker.gate = new Promise((resolve) => (open = resolve));
  for (const number of upTo(1_500)) batcher.write(line(number));
  await eventually(() => offered.length === 1);
  open();
  await batcher.close(1_000);
  t.deepEqual([offered.length, taken.length], [3, 3]);
});

test('a refused batch is offered again, the very same one, and nothing is counted as dropped', async (t) => {
  const { batcher, taker, offered, taken, dropped } = setUp();
  taker.isOpen = false;
  for (const number of upTo(500)) batcher.write(line(number));
  await eventually(() => offered.length === 1);
  taker.isOpen = true;
  await eventually(() => taken.length === 1);
  t.is(offered[0], offered[1]);
  t.is(batcher.droppedLines, 0);
  t.deepEqual(dropped, []);
  await batcher.close(1_000);
});

test('past 32 MiB the oldest lines are dropped, counted, and told of once when hand-over works again', async (t) => {
  const { batcher, taker, takenLines, dropped } = setUp();
  taker.isOpen = false;
  const lines = 420;
  for (const number of upTo(lines)) batcher.write(line(number, 100 * KIB));
  await batcher.flush(0);
  taker.isOpen = true;
  await eventually(() => dropped.length > 0);
  await batcher.close(1_000);

  const kept = numbersOf(takenLines());
  t.deepEqual(kept, upTo(lines).slice(lines - kept.length), 'what is left are the newest lines');
  t.deepEqual(dropped, [lines - kept.length]);
  t.is(batcher.droppedLines, lines - kept.length);
  t.true(kept.length * 100 * KIB <= 32 * MIB);
  t.true(kept.length * 100 * KIB > 30 * MIB, 'no more is dropped than must be');
});

test('flush hands over what is held at once, and takes further lines', async (t) => {
  const { batcher, takenLines } = setUp();
  batcher.write(line(0));
  await batcher.flush(1_000);
  t.deepEqual(numbersOf(takenLines()), [0]);
  batcher.write(line(1));
  await batcher.close(1_000);
  t.deepEqual(numbersOf(takenLines()), [0, 1]);
});

test('flush with nothing to hand over does nothing', async (t) => {
  const { batcher, offered } = setUp();
  await batcher.flush(1_000);
  await batcher.close(1_000);
  t.is(offered.length, 0);
});

test('flush gives up at its deadline when nobody answers', async (t) => {
  const { batcher, taker, taken } = setUp();
  let open = (): void => undefined;
  taker.gate = new Promise((resolve) => (open = resolve));
  batcher.write(line(0));
  await batcher.flush(10);
  t.is(taken.length, 0);
  open();
  await batcher.close(1_000);
  t.is(taken.length, 1);
});

test('close goes on offering until its deadline: a taker that is back by then gets everything', async (t) => {
  const { batcher, taker, offered, takenLines } = setUp();
  taker.isOpen = false;
  for (const number of upTo(501)) batcher.write(line(number));
  const closing = batcher.close(10_000);
  await eventually(() => offered.length > 0);
  taker.isOpen = true;
  await closing;
  t.is(takenLines().length, 501);
});

test('a line over 256 KiB is cut, stays one JSON object, and says so', async (t) => {
  const { batcher, takenLines } = setUp();
  const record = { message: 'm'.repeat(300 * KIB), 'event.id': 'e', 'log.level': 'info' };
  batcher.write(`${JSON.stringify(record)}\n`);
  await batcher.close(1_000);
  const [text = ''] = takenLines();
  t.true(text.endsWith('}\n') && Buffer.byteLength(text) <= 256 * KIB);
  const cut = JSON.parse(text) as Record<string, unknown>;
  t.is(cut['event.id'], 'e');
  t.is(cut['labels.cut'], true);
  t.true(String(cut['message']).startsWith('mmm'));
});

test('a line over 256 KiB made of many short fields is cut as well', async (t) => {
  const { batcher, takenLines } = setUp();
  const fields = upTo(2_000).map((number) => [`labels.f${number}`, 'y'.repeat(1_000)]);
  batcher.write(`${JSON.stringify({ 'event.id': 'e', ...Object.fromEntries(fields) })}\n`);
  await batcher.close(1_000);
  const [text = ''] = takenLines();
  t.true(Buffer.byteLength(text) <= 256 * KIB, `${Buffer.byteLength(text)} bytes`);
  t.is((JSON.parse(text) as Record<string, unknown>)['event.id'], 'e');
});

test('a long line is measured in bytes, and cut between characters', async (t) => {
  const { batcher, takenLines } = setUp();
  batcher.write(`${JSON.stringify({ message: `m${'\u{1F600}'.repeat(100 * KIB)}` })}\n`);
  await batcher.close(1_000);
  const { message } = JSON.parse(takenLines()[0] ?? '') as { message: string };
  t.true(message.isWellFormed(), 'half a character is left at the end');
});

test('a long line that is no JSON does not throw', async (t) => {
  const { batcher } = setUp();
  t.notThrows(() => batcher.write(`${'x'.repeat(300 * KIB)}\n`));
  await batcher.close(1_000);
});
