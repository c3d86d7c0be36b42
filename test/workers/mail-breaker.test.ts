import test from 'ava';
import { createMailBreaker, type MailTrial } from '../../workers/mail/mail-breaker.js';

test('closed, every mail passes, many at a time', (t) => {
  const { pass } = setUp();
  for (let i = 0; i < 3; i++) t.truthy(pass());
});

test('after a failure all rest; then one tries, and the others wait for it', (t) => {
  const { breaker, pass, wait } = setUp();
  t.is(pass()?.failed(), 1_000);
  t.is(breaker.enter(), 1_000);
  wait(400);
  t.is(breaker.enter(), 600);
  wait(600);
  t.truthy(pass());
  t.is(pass(), undefined);
  t.is(breaker.enter(), 1_000);
});

test('each failure of the one that tries doubles the rest, up to ten seconds', (t) => {
  const { pass, wait } = setUp();
  const rests = Array.from({ length: 6 }, () => {
    const pauseMs = pass()?.failed() ?? 0;
    wait(pauseMs);
    return pauseMs;
  });
  t.deepEqual(rests, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

test('mails that were under way when it failed count as the same failure', (t) => {
  const { pass, wait } = setUp();
  const underWay = [pass(), pass(), pass()];
  t.deepEqual(
    underWay.map((trial) => trial?.failed()),
    [1_000, 1_000, 1_000],
  );
  wait(1_000);
  t.is(pass()?.failed(), 2_000);
});

test('the first mail that gets through lets all go again, and a later failure starts small', (t) => {
  const { pass, wait } = setUp();
  pass()?.failed();
  wait(1_000);
  pass()?.reached();
  t.truthy(pass());
  t.is(pass()?.failed(), 1_000);
});

test('one that tried nothing after all makes way for another', (t) => {
  const { pass, wait } = setUp();
  pass()?.failed();
  wait(1_000);
  const scout = pass();
  t.is(pass(), undefined);
  scout?.end();
  t.truthy(pass());
});

test('a mail from before the outage that ends late does not let a second one try', (t) => {
  const { pass, wait } = setUp();
  const late = pass();
  pass()?.failed();
  wait(1_000);
  pass();
  late?.end();
  t.is(pass(), undefined);
});

test('it tells once that the server is away, and once that it is back', (t) => {
  const { pass, turns, wait } = setUp();
  pass()?.reached();
  const underWay = [pass(), pass()];
  for (const trial of underWay) trial?.failed();
  wait(1_000);
  pass()?.failed();
  t.deepEqual(turns, ['away']);
  wait(2_000);
  pass()?.reached();
  pass()?.reached();
  t.deepEqual(turns, ['away', 'back']);
});

test('one that got no session is not alone if another under way gets through, by a session if the server has replied', async (t) => {
  const { pass } = setUp();
  const [refused, other] = [pass(), pass()];
  const byReply = refused?.othersGetThrough(true);
  const bySuccess = refused?.othersGetThrough(false);
  other?.openedSession();
  t.true(await byReply);
  other?.reached();
  t.true(await bySuccess);
});

test('with nobody else under way, or all of them waiting for each other, nobody gets through', async (t) => {
  const { pass } = setUp();
  const trials = [pass(), pass(), pass()];
  const asked = trials.map(async (trial) => trial?.othersGetThrough(true));
  t.deepEqual(await Promise.all(asked), [false, false, false]);
  for (const trial of trials) trial?.end();
  t.false(await pass()?.othersGetThrough(true));
});

test('an open session says nothing where the server has said nothing', async (t) => {
  const { pass } = setUp();
  const [refused, other] = [pass(), pass()];
  other?.openedSession();
  const others = refused?.othersGetThrough(false);
  other?.end();
  t.false(await others);
});

function setUp() {
  let now = 0;
  const turns: string[] = [];
  const breaker = createMailBreaker(
    (turn) => void turns.push(turn),
    () => now,
  );
  const pass = (): MailTrial | undefined => {
    const trial = breaker.enter();
    return typeof trial === 'number' ? undefined : trial;
  };
  return { breaker, turns, pass, wait: (ms: number) => void (now += ms) };
}
