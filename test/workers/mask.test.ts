import test from 'ava';
import fc from 'fast-check';
import { maskError, maskPersonalData } from '../../workers/mask.js';

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
  t.regex(stack, /^Error: 550\n    at \[address\] \(\[link\]\n\s+at .*mask\.test/);
});

test('a masked error keeps its name, code, causes and frames, and no address', (t) => {
  const cause = Object.assign(new TypeError('550 ada@x.example'), { code: 'EENVELOPE' });
  const masked = maskError(new Error('to ada@x.example', { cause }));
  t.is(masked.message, 'to [address]');
  t.like(masked.cause, { name: 'TypeError', message: '550 [address]', code: 'EENVELOPE' });
  t.regex(masked.stack ?? '', /^Error: to \[address\]\n\s+at .*mask\.test/);
  t.false(JSON.stringify([masked.stack, (masked.cause as Error).stack]).includes('ada@'));
});

test('NUL bytes are dropped', (t) => {
  t.is(maskPersonalData('a\0b'), 'ab');
});

test('what is thrown and no error becomes one', (t) => {
  t.is(maskError('ada@x.example').message, '[address]');
  t.is(maskError(undefined).message, 'undefined');
});
