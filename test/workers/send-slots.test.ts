import test from 'ava';
import {
  acquireSlot,
  createSendSlots,
  freeConnection,
  mailsInFlight,
  releaseSlot,
  type SendSlot,
} from '../../workers/mail/delivery/send-slots.js';
import { MailFailure } from '../../workers/mail/mail.port.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const never = new AbortController().signal;

/** Callers that note in which order they get a slot. */
function setUp(limit: () => number) {
  const slots = createSendSlots(limit);
  const order: string[] = [];
  const held: SendSlot[] = [];
  const acquire = (name: string, signal = never): Promise<unknown> =>
    acquireSlot(slots, signal).then(
      (slot) => {
        held.push(slot);
        return order.push(name);
      },
      (error: unknown) => error,
    );
  /** What the mail that has had its slot for longest does with it. */
  const oldest = (): SendSlot => {
    const slot = held.shift();
    if (!slot) throw new Error('nobody has a slot');
    return slot;
  };
  const release = (): void => releaseSlot(slots, oldest());
  return { slots, order, acquire, oldest, release };
}

test('no more mails are sent at once than the limit says; waiters follow in their order', async (t) => {
  const { slots, order, acquire, release } = setUp(() => 2);
  const all = Promise.all(['a', 'b', 'c', 'd'].map((name) => acquire(name)));
  await turn();
  t.deepEqual(order, ['a', 'b']);
  release();
  await turn();
  t.deepEqual(order, ['a', 'b', 'c']);
  t.is(slots.sending, 2);
  release();
  await all;
  t.deepEqual(order, ['a', 'b', 'c', 'd']);
  release();
  release();
  t.is(slots.sending, 0);
});

test('a lower limit holds from the next release, a higher one lets several through', async (t) => {
  let limit = 3;
  const { slots, order, acquire, release } = setUp(() => limit);
  const all = Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => acquire(name)));
  await turn();
  limit = 1;
  release();
  release();
  await turn();
  t.deepEqual(order, ['a', 'b', 'c']);
  limit = 4;
  release();
  await all;
  t.deepEqual(order, ['a', 'b', 'c', 'd', 'e', 'f']);
  t.is(slots.sending, 3);
});

test('a waiter leaves when the process stops, and its turn passes to the next one', async (t) => {
  const { slots, order, acquire, release } = setUp(() => 1);
  await acquire('a');
  const stopping = new AbortController();
  const leaves = acquire('b', stopping.signal);
  const stays = acquire('c');
  stopping.abort();
  t.true((await leaves) instanceof MailFailure);
  t.true((await acquire('d', AbortSignal.abort())) instanceof MailFailure);
  release();
  await stays;
  t.deepEqual(order, ['a', 'c']);
  t.is(slots.waiting.size, 0);
});

test('the next mail has the connection while the outcome of the last is recorded; two for each connection at most', async (t) => {
  const { slots, order, acquire, oldest, release } = setUp(() => 1);
  const all = Promise.all(['a', 'b', 'c'].map((name) => acquire(name)));
  await turn();
  const first = oldest();
  freeConnection(slots, first);
  await turn();
  t.deepEqual(order, ['a', 'b'], 'the connection is free');
  const second = oldest();
  freeConnection(slots, second);
  await turn();
  t.deepEqual(order, ['a', 'b'], 'two are not recorded');
  releaseSlot(slots, second);
  releaseSlot(slots, second);
  await all;
  t.deepEqual(order, ['a', 'b', 'c']);
  releaseSlot(slots, first);
  release();
  t.deepEqual([slots.sending, slots.recording], [0, 0]);
});

test('a few mails are prepared for each connection, and not many in all', (t) => {
  t.deepEqual([1, 5, 20, 100].map(mailsInFlight), [4, 20, 40, 120]);
});

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
