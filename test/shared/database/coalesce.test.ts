import test from 'ava';
import { coalesce } from '../../../shared/database/coalesce.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

test('what is looked up within one turn shares a call, in its order, and later look-ups get another', async (t) => {
  const calls: (readonly number[])[] = [];
  const square = coalesce(async (keys: readonly number[]) => {
    calls.push(keys);
    return keys.map((key) => key * key);
  }, 100);
  t.deepEqual(await Promise.all([square(3), square(1), square(3)]), [9, 1, 9]);
  t.is(await square(2), 4);
  t.deepEqual(calls, [[3, 1, 3], [2]]);
});

test('a call has at most so many look-ups', async (t) => {
  const sizes: number[] = [];
  const same = coalesce(async (keys: readonly number[]) => {
    sizes.push(keys.length);
    return keys;
  }, 2);
  t.deepEqual(await Promise.all([1, 2, 3, 4, 5].map(same)), [1, 2, 3, 4, 5]);
  t.deepEqual(sizes, [2, 2, 1]);
});

test('a call that fails fails its own look-ups and no others', async (t) => {
  const find = coalesce(async (keys: readonly string[]) => {
    if (keys.includes('bad')) throw new Error('refused');
    return keys;
  }, 2);
  const outcomes = await Promise.allSettled(['a', 'bad', 'b', 'c'].map(find));
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected', 'fulfilled', 'fulfilled'],
  );
  t.is(await find('d'), 'd');
});

test('a call without a result for each of its look-ups fails them all', async (t) => {
  const find = coalesce(() => Promise.resolve(['only one']), 10);
  const outcomes = await Promise.allSettled([find(1), find(2)]);
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
});
