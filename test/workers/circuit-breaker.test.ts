import test from 'ava';
import {
  createCircuitBreaker,
  othersGetThrough,
  recordReached,
  recordSession,
  recordUnreachable,
  releasePermit,
  requestPermit,
  type SendPermit,
} from '../../workers/mail/delivery/circuit-breaker.js';

test('closed, every mail passes, many at a time', (t) => {
  const { pass } = setUp();
  for (let i = 0; i < 3; i++) t.truthy(pass());
});

test('after a failure all rest; then one tries, and the others wait for it', (t) => {
  const { breaker, pass, wait } = setUp();
  t.is(recordUnreachable(pass()), 1_000);
  t.is(requestPermit(breaker), 1_000);
  wait(400);
  t.is(requestPermit(breaker), 600);
  wait(600);
  t.truthy(pass());
  t.is(typeof requestPermit(breaker), 'number');
  t.is(requestPermit(breaker), 1_000);
});

test('each failure of the one that tries doubles the rest, up to ten seconds', (t) => {
  const { pass, wait } = setUp();
  const rests = Array.from({ length: 6 }, () => {
    const pauseMs = recordUnreachable(pass());
    wait(pauseMs);
    return pauseMs;
  });
  t.deepEqual(rests, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

test('mails that were under way when it failed count as the same failure', (t) => {
  const { pass, wait } = setUp();
  const inFlight = [pass(), pass(), pass()];
  t.deepEqual(
    inFlight.map((permit) => recordUnreachable(permit)),
    [1_000, 1_000, 1_000],
  );
  wait(1_000);
  t.is(recordUnreachable(pass()), 2_000);
});

test('the first mail that gets through lets all go again, and a later failure starts small', (t) => {
  const { pass, wait } = setUp();
  recordUnreachable(pass());
  wait(1_000);
  recordReached(pass());
  t.truthy(pass());
  t.is(recordUnreachable(pass()), 1_000);
});

test('one that tried nothing after all makes way for another', (t) => {
  const { breaker, pass, wait } = setUp();
  recordUnreachable(pass());
  wait(1_000);
  const probe = pass();
  t.is(typeof requestPermit(breaker), 'number');
  releasePermit(probe);
  t.truthy(pass());
});

test('a mail from before the outage that ends late does not let a second one try', (t) => {
  const { breaker, pass, wait } = setUp();
  const late = pass();
  recordUnreachable(pass());
  wait(1_000);
  pass();
  releasePermit(late);
  t.is(typeof requestPermit(breaker), 'number');
});

test('it tells once that the server is away, and once that it is back', (t) => {
  const { pass, turns, wait } = setUp();
  recordReached(pass());
  const inFlight = [pass(), pass()];
  for (const permit of inFlight) recordUnreachable(permit);
  wait(1_000);
  recordUnreachable(pass());
  t.deepEqual(turns, ['open']);
  wait(2_000);
  recordReached(pass());
  recordReached(pass());
  t.deepEqual(turns, ['open', 'closed']);
});

test('one that got no session is not alone if another under way gets through, by a session if the server has replied', async (t) => {
  const { pass } = setUp();
  const [refused, other] = [pass(), pass()];
  const byReply = othersGetThrough(refused, true);
  const bySuccess = othersGetThrough(refused, false);
  recordSession(other);
  t.true(await byReply);
  recordReached(other);
  t.true(await bySuccess);
});

test('with nobody else under way, or all of them waiting for each other, nobody gets through', async (t) => {
  const { pass } = setUp();
  const permits = [pass(), pass(), pass()];
  const asked = permits.map((permit) => othersGetThrough(permit, true));
  t.deepEqual(await Promise.all(asked), [false, false, false]);
  for (const permit of permits) releasePermit(permit);
  t.false(await othersGetThrough(pass(), true));
});

test('an open session says nothing where the server has said nothing', async (t) => {
  const { pass } = setUp();
  const [refused, other] = [pass(), pass()];
  recordSession(other);
  const others = othersGetThrough(refused, false);
  releasePermit(other);
  t.false(await others);
});

function setUp() {
  let now = 0;
  const turns: string[] = [];
  const breaker = createCircuitBreaker(
    (state) => void turns.push(state),
    () => now,
  );
  const pass = (): SendPermit => {
    const permit = requestPermit(breaker);
    if (typeof permit === 'number') throw new Error(`paused for ${permit} ms`);
    return permit;
  };
  return { breaker, turns, pass, wait: (ms: number) => void (now += ms) };
}
