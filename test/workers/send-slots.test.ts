import test from 'ava';
import {
  acquireSlot,
  createSendSlots,
  mailsInFlight,
  releaseSlot,
} from '../../workers/mail/delivery/send-slots.js';
import { MailFailure } from '../../workers/mail/mail.port.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const never = new AbortController().signal;

/** Callers that note in which order they get a slot. */
function setUp(limit: () => number) {
  const slots = createSendSlots(limit);
  const order: string[] = [];
  const acquire = (name: string, signal = never): Promise<unknown> =>
    acquireSlot(slots, signal).then(
      () => order.push(name),
      (error: unknown) => error,
    );
  return { slots, order, acquire };
}

test('no more mails are sent at once than the limit says; waiters follow in their order', async (t) => {
  const { slots, order, acquire } = setUp(() => 2);
  const all = Promise.all(['a', 'b', 'c', 'd'].map((name) => acquire(name)));
  await turn();
  t.deepEqual(order, ['a', 'b']);
  releaseSlot(slots);
  await turn();
  t.deepEqual(order, ['a', 'b', 'c']);
  t.is(slots.inUse, 2);
  releaseSlot(slots);
  await all;
  t.deepEqual(order, ['a', 'b', 'c', 'd']);
  releaseSlot(slots);
  releaseSlot(slots);
  t.is(slots.inUse, 0);
});

test('a lower limit holds from the next release, a higher one lets several through', async (t) => {
  let limit = 3;
  const { slots, order, acquire } = setUp(() => limit);
  const all = Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => acquire(name)));
  await turn();
  limit = 1;
  releaseSlot(slots);
  releaseSlot(slots);
  await turn();
  t.deepEqual(order, ['a', 'b', 'c']);
  limit = 4;
  releaseSlot(slots);
  await all;
  t.deepEqual(order, ['a', 'b', 'c', 'd', 'e', 'f']);
  t.is(slots.inUse, 3);
});

test('a waiter leaves when the process stops, and its turn passes to the next one', async (t) => {
  const { slots, order, acquire } = setUp(() => 1);
  await acquire('a');
  const stopping = new AbortController();
  const leaves = acquire('b', stopping.signal);
  const stays = acquire('c');
  stopping.abort();
  t.true((await leaves) instanceof MailFailure);
  t.true((await acquire('d', AbortSignal.abort())) instanceof MailFailure);
  releaseSlot(slots);
  await stays;
  t.deepEqual(order, ['a', 'c']);
  t.is(slots.waiting.size, 0);
});

test('a few mails are prepared for each connection, and not many in all', (t) => {
  t.deepEqual([1, 5, 20, 100].map(mailsInFlight), [4, 20, 40, 120]);
});

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
