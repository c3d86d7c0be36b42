import test from 'ava';
import { createLineStamp } from '../../../shared/logging/line-stamp.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

interface Stamp {
  readonly '@timestamp': string;
  readonly 'event.id': string;
}

const read = (text: string): Stamp => JSON.parse(`{${text.slice(1)}}`) as Stamp;
const idsOf = (stamp: () => string, count: number): string[] =>
  Array.from({ length: count }, () => read(stamp())['event.id']);

test('an id is a UUID of version 7 with the time of its line', (t) => {
  const at = Date.parse('2026-11-29T01:02:03.456Z');
  const stamp = read(createLineStamp(() => at)());
  t.is(stamp['@timestamp'], '2026-11-29T01:02:03.456Z');
  t.regex(
    stamp['event.id'],
    /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  t.is(Number.parseInt(stamp['event.id'].replaceAll('-', '').slice(0, 12), 16), at);
});

test('ids are unique and grow, also beyond those of one millisecond and when the clock is set back', (t) => {
  let now = 1_000_000;
  const stamp = createLineStamp(() => now);
  const ids = idsOf(stamp, 10_000);
  now += 1;
  ids.push(...idsOf(stamp, 10));
  now -= 500;
  ids.push(...idsOf(stamp, 5_000));
  now += 1_000;
  ids.push(...idsOf(stamp, 10));
  t.is(new Set(ids).size, ids.length);
  t.deepEqual(ids.toSorted(), ids);
});

test('the time of a line is the clock’s, even when that is set back', (t) => {
  let now = 1_000;
  const stamp = createLineStamp(() => now);
  t.is(read(stamp())['@timestamp'], '1970-01-01T00:00:01.000Z');
  now = 1;
  t.is(read(stamp())['@timestamp'], '1970-01-01T00:00:00.001Z');
});

test('sources with the same clock share no id', (t) => {
  const ids = Array.from({ length: 50 }, () =>
    idsOf(
      createLineStamp(() => 5),
      50,
    ),
  ).flat();
  t.is(new Set(ids).size, ids.length);
});
