import test from 'ava';
import { compare } from '../../bench/timing/statistics.js';

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('the area under the curve is the share of pairs in which the first is greater', (t) => {
  t.is(compare([4, 5, 6], [1, 2, 3]).auc, 1);
  t.is(compare([1, 2, 3], [4, 5, 6]).auc, 0);
  t.is(compare([1, 4], [2, 3]).auc, 0.5);
  t.is(compare([3, 1, 5], [2, 4, 0]).auc, 6 / 9);
  t.is(compare([10], [1, 2, 3, 20]).auc, 3 / 4, 'samples need not be of one size');
});

test('equal values count by half', (t) => {
  t.is(compare([7, 7, 7], [7, 7]).auc, 0.5);
  t.is(compare([1, 2], [1, 2]).auc, 0.5);
  t.is(compare([2, 3], [1, 2]).auc, 3.5 / 4);
});

test('it agrees with counting every pair', (t) => {
  const first = numbers(0, 99).map((n) => (n * 37) % 50);
  const second = numbers(0, 79).map((n) => (n * 29) % 41);
  let wins = 0;
  for (const a of first) for (const b of second) wins += a > b ? 1 : a === b ? 0.5 : 0;
  t.is(compare(first, second).auc, wins / (first.length * second.length));
  t.true(Math.abs(compare(second, first).auc + compare(first, second).auc - 1) < 1e-12);
});

test('a difference that the medians hide shows in the area', (t) => {
  const first = [...numbers(1, 50), 100, ...numbers(200, 249)];
  const second = [...numbers(51, 99), 100, 100, ...numbers(101, 150)];
  const { auc, medians } = compare(first, second.slice(0, 101));
  t.deepEqual(medians, [100, 100]);
  t.true(auc > 0.4 && auc < 0.6);
  t.true(compare([...numbers(90, 99), 100, ...numbers(200, 209)], numbers(80, 120)).auc > 0.6);
});

test('medians are those of the sorted values, and an empty sample has none', (t) => {
  t.deepEqual(compare([9, 1, 5], [4, 1, 3, 2]).medians, [5, 2.5]);
  t.throws(() => compare([], [1]), { instanceOf: RangeError });
  t.throws(() => compare([1], []), { instanceOf: RangeError });
});
