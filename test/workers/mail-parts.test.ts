import test from 'ava';
import fc from 'fast-check';
import { evenRateLimiter } from '../../workers/jobs/even-rate-limiter.js';
import { createConnectionLimit } from '../../workers/mail/smtp/connection-limit.js';
import { normalizeReply, refusedParty } from '../../workers/mail/smtp/smtp-reply.js';
import { maskError, maskPersonalData } from '../../shared/logging/mask.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

/** How many jobs a limiter lets through in the fullest second there is, and in the long run. */
function passing({ max, duration }: ReturnType<typeof evenRateLimiter>) {
  // A second that begins with the end of one window and ends with the start of another.
  return {
    inWorstSecond: max * (Math.ceil(1_000 / duration) + 1),
    perSecond: (max * 1_000) / duration,
  };
}

const rates = Array.from({ length: 2_000 }, (_, index) => index + 1);

test('no rate is exceeded in the long run, and none is missed by more than a twentieth', (t) => {
  for (const rate of rates) {
    const { perSecond } = passing(evenRateLimiter(rate));
    t.true(perSecond <= rate && perSecond >= rate * 0.95, `${rate}: ${perSecond}`);
  }
});

test('no second sees more than the rate and two short bursts', (t) => {
  for (const rate of rates) {
    const { inWorstSecond } = passing(evenRateLimiter(rate));
    t.true(inWorstSecond <= rate + 2 * Math.max(1, rate / 20) + 1, `${rate}: ${inWorstSecond}`);
  }
});

test('the default, 14 a second, is one mail every 72 ms', (t) => {
  t.deepEqual(evenRateLimiter(14), { max: 1, duration: 72 });
});

test('answers that differ in addresses, ids and numbers alone are of one kind', (t) => {
  const kind = normalizeReply(
    '554 5.7.1 <[address]>: rejected by filter F7 (queue id 4XYZ9, 17 ms)',
  );
  for (const same of [
    '554 5.7.1 <[address]>: rejected by filter F9 (queue id 7ABC1, 230 ms)',
    '554 5.7.1 [address]: Rejected by filter  F9 (queue id [7ABC1], 230 ms)',
  ])
    t.is(normalizeReply(same), kind);
});

test('answers of another code or other words are of another kind', (t) => {
  const kind = normalizeReply('554 5.7.1 rejected');
  for (const other of ['550 5.7.1 rejected', '554 5.7.0 rejected', '554 5.7.1 refused', '554'])
    t.not(normalizeReply(other), kind, other);
});

test('5.7.1 alone tells nothing', (t) => {
  t.is(refusedParty('554 5.7.1'), 'unclear');
  t.is(refusedParty('550-5.7.1 first line\n550 5.7.1 no'), 'unclear');
});

test('a very long reply of hostile words is read in no time', (t) => {
  t.is(refusedParty(`554 ${'sender '.repeat(200_000)}`), 'unclear');
  t.true(normalizeReply(`554 ${'a '.repeat(500_000)}`).length <= 1_000);
});

const word = fc.stringMatching(/^[a-z0-9]{1,12}$/);

test('no address survives, wherever it stands', (t) => {
  const address = fc.tuple(word, word).map(([local, host]) => `${local}.x+tag@${host}.example`);
  fc.assert(
    fc.property(
      address,
      fc.string({ maxLength: 60 }),
      fc.constantFrom(' ', '<', '(', ':', '"', '\n', ';'),
      (secret, before, gap) => {
        return !maskPersonalData(`${before}${gap}${secret}> more`).includes(secret);
      },
    ),
  );
  t.pass();
});

test('no link and no token survives', (t) => {
  const token = fc
    .tuple(
      fc.constantFrom('ct', 'rt'),
      fc.stringMatching(/^[0-9a-f]{32}$/),
      fc.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    )
    .map((parts) => parts.join('_'));
  fc.assert(
    fc.property(token, (secret) => {
      const text = `see https://x.example/auth/confirm?token=${secret} or ${secret}.`;
      return !maskPersonalData(text).includes(secret);
    }),
  );
  t.is(maskPersonalData('go to HTTP://x.example/a?b=c now'), 'go to [link] now');
});

test('other texts stay as they are, up to 1,000 characters', (t) => {
  for (const text of [
    '451 4.7.1 try again later',
    'connect ECONNREFUSED 127.0.0.1:25',
    'Redis @ 10.0.0.1',
    '',
  ]) {
    t.is(maskPersonalData(text), text);
  }
  t.is(maskPersonalData('a'.repeat(5_000)).length, 1_000);
});

test('an address or a token that the bound goes through leaves nothing of itself', (t) => {
  const link = `https://x.example/${'y'.repeat(3_960)}`;
  for (const secret of [`${'ann.'.repeat(20)}example@x.example`, `ct_${'0f'.repeat(16)}_`, 'eyJ'])
    t.is(maskPersonalData(`${link} to ${secret}${'a'.repeat(200)}`), '[link] to ');
});

test('a message that looks like the frames of a stack is masked too', (t) => {
  const { stack = '' } = maskError(new Error('550\n    at ada@x.example (https://x.example/a)'));
  t.regex(stack, /^Error: 550\n    at \[address\] \(\[link\]\n\s+at .*mail-parts\.test/);
});

test('a masked error keeps its name, code, causes and frames, and no address', (t) => {
  const cause = Object.assign(new TypeError('550 ada@x.example'), { code: 'EENVELOPE' });
  const masked = maskError(new Error('to ada@x.example', { cause }));
  t.is(masked.message, 'to [address]');
  t.like(masked.cause, { name: 'TypeError', message: '550 [address]', code: 'EENVELOPE' });
  t.regex(masked.stack ?? '', /^Error: to \[address\]\n\s+at .*mail-parts\.test/);
  t.false(JSON.stringify([masked.stack, (masked.cause as Error).stack]).includes('ada@'));
});

test('NUL bytes are dropped, and no half of a character is left by a cut', (t) => {
  t.is(maskPersonalData('a\0b'), 'ab');
  t.is(maskPersonalData('\ud83d'), '\ufffd');
  const cut = maskPersonalData(`${'x'.repeat(999)}\u{1f469}`);
  t.is(cut, `${'x'.repeat(999)}\ufffd`);
  const { stack = '' } = maskError(
    Object.assign(new Error('x'), { stack: `x\n    at ${'y'.repeat(3_992)}\u{1f469}` }),
  );
  t.true(stack.isWellFormed());
});

test('a masked error of several addresses says what each answered', (t) => {
  const several = new AggregateError([new Error('no a@x.example'), new Error('refused')]);
  t.is(maskError(several).message, 'no [address]; refused');
});

test('what is thrown and no error becomes one', (t) => {
  t.is(maskError('ada@x.example').message, '[address]');
  t.is(maskError(undefined).message, 'undefined');
});

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
