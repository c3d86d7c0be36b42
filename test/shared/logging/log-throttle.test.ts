import test from 'ava';
import { createLogThrottle } from '../../../shared/logging/log-throttle.js';

test('the first of each kind is logged, the same again only after the interval', (t) => {
  const isDue = createLogThrottle(Infinity);
  t.true(isDue('connect ECONNREFUSED 127.0.0.1:6379'));
  t.false(isDue('connect ECONNREFUSED 127.0.0.1:6379'));
  t.true(isDue('read ECONNRESET'));
  const always = createLogThrottle(0);
  t.deepEqual([always('x'), always('x')], [true, true]);
});

test('texts that differ only in numbers are of one kind', (t) => {
  const isDue = createLogThrottle(Infinity);
  t.true(isDue('no answer after 1001 ms'));
  t.false(isDue('no answer after 999 ms'));
});
