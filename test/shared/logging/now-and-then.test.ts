import test from 'ava';
import { createNowAndThen } from '../../../shared/logging/now-and-then.js';

test('the first of each kind is told, the same again only after the pause', (t) => {
  const isDue = createNowAndThen(Infinity);
  t.true(isDue('connect ECONNREFUSED 127.0.0.1:6379'));
  t.false(isDue('connect ECONNREFUSED 127.0.0.1:6379'));
  t.true(isDue('read ECONNRESET'));
  const always = createNowAndThen(0);
  t.deepEqual([always('x'), always('x')], [true, true]);
});

test('numbers make no kind of their own', (t) => {
  const isDue = createNowAndThen(Infinity);
  t.true(isDue('no answer after 1001 ms'));
  t.false(isDue('no answer after 999 ms'));
});
