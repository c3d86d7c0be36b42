import test from 'ava';
import { createConnectionLimit } from '../../workers/mail/smtp/connection-limit.js';

test('each refusal takes one away, down to one; time gives them back one by one', (t) => {
  const { limit, wait } = setUp(4);
  t.is(limit.current(), 4);
  for (const left of [3, 2, 1, 1]) {
    limit.refused(9);
    t.is(limit.current(), left);
  }
  wait(9_999);
  t.is(limit.current(), 1);
  wait(1);
  t.is(limit.current(), 2);
  wait(100_000);
  t.is(limit.current(), 4, 'never more than there may be');
});

test('with fewer under way than there may be, it goes down to those', (t) => {
  const { limit } = setUp(20);
  limit.refused(2);
  t.is(limit.current(), 2);
  limit.refused(0);
  t.is(limit.current(), 1);
});

test('a refusal starts the time anew', (t) => {
  const { limit, wait } = setUp(3);
  limit.refused(9);
  wait(9_000);
  limit.refused(9);
  wait(9_000);
  t.is(limit.current(), 1);
});

test('it tells of a new low, and when all have been taken for a minute, not of each time that it tries one more', (t) => {
  const { limit, told, wait } = setUp(3);
  limit.refused(9);
  for (let i = 0; i < 5; i++) {
    wait(10_000);
    t.is(limit.current(), 3);
    limit.refused(9);
  }
  t.deepEqual(told, [2]);
  limit.refused(9);
  t.deepEqual(told, [2, 1]);
  wait(20_000);
  t.is(limit.current(), 3);
  wait(59_999);
  limit.current();
  t.deepEqual(told, [2, 1]);
  wait(1);
  limit.current();
  t.deepEqual(told, [2, 1, 3]);
  limit.refused(9);
  t.deepEqual(told, [2, 1, 3, 2]);
});

function setUp(most: number) {
  let now = 0;
  const told: number[] = [];
  const limit = createConnectionLimit(
    most,
    (news) => void told.push(news),
    () => now,
  );
  return { limit, told, wait: (ms: number) => void (now += ms) };
}
