import { setMaxListeners } from 'node:events';
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
// As with a worker's signal: one listener for each mail that waits.
setMaxListeners(0, never);

/** Callers that note in which order they get a slot, and are told that they are among the next. */
function setUp(limit: () => number) {
  const slots = createSendSlots(limit);
  const order: string[] = [];
  const next: string[] = [];
  const held: SendSlot[] = [];
  const acquire = (name: string, signal = never): Promise<unknown> =>
    acquireSlot(slots, signal, () => void next.push(name)).then(
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
  return { slots, order, next, acquire, oldest, release };
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

test('the next mail has the connection while the outcome of the last is recorded; four for each connection at most', async (t) => {
  const { slots, order, acquire, oldest, release } = setUp(() => 1);
  const all = Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => acquire(name)));
  const recorded: SendSlot[] = [];
  for (const sent of ['a', 'b', 'c', 'd']) {
    await turn();
    t.is(order.at(-1), sent, 'the connection is free');
    const slot = oldest();
    freeConnection(slots, slot);
    recorded.push(slot);
  }
  await turn();
  t.deepEqual(order, ['a', 'b', 'c', 'd'], 'four are not recorded');
  const [first, ...others] = recorded;
  if (first) releaseSlot(slots, first);
  if (first) releaseSlot(slots, first);
  await all;
  t.deepEqual(order, ['a', 'b', 'c', 'd', 'e']);
  for (const slot of others) releaseSlot(slots, slot);
  release();
  t.deepEqual([slots.sending, slots.recording], [0, 0]);
});

test('as many as there are connections are told that they are next, each once; who has not to wait is not', async (t) => {
  const { next, acquire, release } = setUp(() => 2);
  const all = Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => acquire(name)));
  await turn();
  t.deepEqual(next, ['c', 'd']);
  t.true((await acquire('stopped', AbortSignal.abort())) instanceof MailFailure);
  for (const told of [
    ['c', 'd', 'e'],
    ['c', 'd', 'e', 'f'],
    ['c', 'd', 'e', 'f'],
  ]) {
    release();
    await turn();
    t.deepEqual(next, told);
  }
  release();
  await all;
});

test('a few mails are in flight for each connection, and not many in all', (t) => {
  t.deepEqual([1, 5, 20, 100].map(mailsInFlight), [7, 35, 80, 160]);
});

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
