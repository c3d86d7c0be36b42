import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { deriveKeyRing } from '../../../shared/crypto/keys.js';
import {
  confirmationIdOf,
  isConfirmationToken,
  deriveConfirmationToken,
  type ConfirmationFacts,
} from '../../../shared/identity/confirmation-token.js';
import { parseEmailAddress, readTypedAddress } from '../../../shared/identity/email-address.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

const keys = deriveKeyRing({ current: 'a secret', previous: [] }, 'confirmation');
const facts: ConfirmationFacts = {
  id: uuidv7(),
  purpose: 'registration',
  email: 'a@x.test',
  nonce: randomBytes(16),
};
const token = deriveConfirmationToken(keys, facts);
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

test('a token names its row and fits into a link as it is', (t) => {
  t.regex(token, /^ct_[0-9a-f]{32}_[A-Za-z0-9_-]{43}$/);
  t.is(confirmationIdOf(token), facts.id);
  t.is(encodeURIComponent(token), token);
});

test('a token holds for the facts that it was minted from', (t) => {
  t.true(isConfirmationToken(keys, facts, token));
  t.is(deriveConfirmationToken(keys, facts), token);
});

for (const [what, change] of Object.entries<Partial<ConfirmationFacts>>({
  row: { id: uuidv7() },
  purpose: { purpose: 'email-change' },
  address: { email: 'b@x.test' },
  nonce: { nonce: randomBytes(16) },
})) {
  test(`a token does not hold for another ${what}`, (t) => {
    t.false(isConfirmationToken(keys, { ...facts, ...change }, token));
  });
}

test('facts cannot be shifted from one field into the next', (t) => {
  const shifted = { ...facts, purpose: 'registration","a', email: '@x.test' };
  t.not(deriveConfirmationToken(keys, shifted), token);
});

test('no other spelling of a token is taken, at any place', (t) => {
  const start = token.length - 43;
  for (let at = start; at < token.length; at++) {
    for (const letter of ALPHABET) {
      if (letter === token[at]) continue;
      const other = `${token.slice(0, at)}${letter}${token.slice(at + 1)}`;
      if (isConfirmationToken(keys, facts, other)) {
        t.fail(`character ${at - start + 1} of 43 may also be ${letter} in place of ${token[at]}`);
        return;
      }
    }
  }
  t.pass();
});

test('a key for another purpose verifies nothing; an earlier secret still does', (t) => {
  t.false(
    isConfirmationToken(
      deriveKeyRing({ current: 'a secret', previous: [] }, 'cursor'),
      facts,
      token,
    ),
  );
  t.false(
    isConfirmationToken(
      deriveKeyRing({ current: 'b', previous: [] }, 'confirmation'),
      facts,
      token,
    ),
  );
  t.true(
    isConfirmationToken(
      deriveKeyRing({ current: 'b', previous: ['a secret'] }, 'confirmation'),
      facts,
      token,
    ),
  );
});

for (const text of [
  '',
  'ct_',
  token.slice(0, -1),
  `${token}A`,
  token.toUpperCase(),
  ` ${token}`,
  `${token}\n`,
  `rt_${token.slice(3)}`,
]) {
  test(`${JSON.stringify(text)} is no token`, (t) => {
    t.is(confirmationIdOf(text), undefined);
    t.false(isConfirmationToken(keys, facts, text));
  });
}

test('tokens of two rows have nothing in common but their kind', (t) => {
  const tails = Array.from({ length: 200 }, () =>
    deriveConfirmationToken(keys, { ...facts, id: uuidv7(), nonce: randomBytes(16) }).slice(-43),
  );
  t.is(new Set(tails).size, 200);
  t.true(new Set(tails.map((tail) => tail[0])).size > 20);
});

const label63 = 'd'.repeat(63);
const local64 = 'l'.repeat(64);
/** 254 bytes: the longest address there is. */
const longest = `${local64}@${`${label63}.`.repeat(2)}${'d'.repeat(254 - 64 - 1 - 128 - 5)}.test`;

test('an address is sent to as typed and compared in lower case', (t) => {
  t.deepEqual(parseEmailAddress('User.Name+Tag@Example.TEST'), {
    address: 'User.Name+Tag@example.test',
    canonical: 'user.name+tag@example.test',
  });
});

test('tags, dots and other providers’ habits are kept: they may be another person', (t) => {
  const canonical = (text: string) => parseEmailAddress(text)?.canonical;
  t.not(canonical('user+a@gmail.com'), canonical('user@gmail.com'));
  t.not(canonical('us.er@gmail.com'), canonical('user@gmail.com'));
  t.not(canonical('user@googlemail.com'), canonical('user@gmail.com'));
});

test('an international domain and its ASCII form are one', (t) => {
  const forms = [
    'a@BÜCHER.example',
    'a@bücher.example',
    'a@bu\u0308cher.example',
    'a@xn--bcher-kva.example',
  ];
  for (const form of forms)
    t.is(parseEmailAddress(form)?.canonical, 'a@xn--bcher-kva.example', form);
});

test('a domain keeps the joiners that its script needs, and has no others', (t) => {
  t.is(parseEmailAddress('a@نامه\u200cای.com')?.canonical, 'a@xn--mgba3gch31f060k.com');
  for (const domain of ['exa\u200dmple.com', 'ex\u200came.com', '\u200dabc.com'])
    t.is(parseEmailAddress(`a@${domain}`), undefined, domain);
});

test('every character of a dot-atom is taken, and so are the longest address and label', (t) => {
  t.is(
    parseEmailAddress("!#$%&'*+/=?^_`{|}~-09.az@x.test")?.address,
    "!#$%&'*+/=?^_`{|}~-09.az@x.test",
  );
  t.is(longest.length, 254);
  for (const text of [longest, `a@${label63}.test`, 'a@b.co', 'a@1.2.test', 'a@x--y.test']) {
    t.is(parseEmailAddress(text)?.address, text);
  }
});

for (const [why, text] of Object.entries({
  'nothing at all': '',
  'no at sign': 'a.x.test',
  'no local part': '@x.test',
  'no domain': 'a@',
  'a domain of one label': 'a@x',
  'a local host': 'a@localhost',
  'a quoted local part': '"a b"@x.test',
  'a quoted at sign': '"a@b"@x.test',
  'two at signs': 'a@b@x.test',
  'an address literal': 'a@[127.0.0.1]',
  'an IPv6 literal': 'a@[IPv6:::1]',
  'a number for a domain': 'a@127.0.0.1',
  'a number in wide digits': 'a@１２７.0.0.1',
  'a short form of a number': 'a@127.1',
  'a hexadecimal number': 'a@0x7f.1',
  'a top level that is a number': 'a@example.123',
  'an empty label': 'a@x..y',
  'a leading dot in the domain': 'a@.x.test',
  'a trailing dot': 'a@x.test.',
  'an ideographic full stop at the end': 'a@x.test。',
  'a label that begins with a hyphen': 'a@-x.test',
  'a label that ends with a hyphen': 'a@x-.test',
  'a label of 64 characters': `a@${'d'.repeat(64)}.test`,
  'a leading dot in the local part': '.a@x.test',
  'a trailing dot in the local part': 'a.@x.test',
  'two dots in the local part': 'a..b@x.test',
  'a local part of 65 characters': `${'l'.repeat(65)}@x.test`,
  'an address of 255 characters': longest.replace('.test', 'd.test'),
  'an address that IDNA makes too long': `a@${'ü'.repeat(58)}.${'ü'.repeat(58)}.${'ü'.repeat(58)}.${'ü'.repeat(58)}.test`,
  'the Kelvin sign, which lower case turns into k': 'mi\u212ae@x.test',
  'a dotted capital I': '\u0130@x.test',
  'a Cyrillic letter': '\u0430@x.test',
  'a NUL': 'a\u0000@x.test',
  'a NUL in the domain': 'a@x\u0000.test',
  'a tab': 'a\t@x.test',
  'a line break': 'a@x.test\n',
  'a header of one’s own': 'a@x.test\r\nBcc: b@x.test',
  'a space around it': ' a@x.test ',
  'a zero-width space': 'a\u200b@x.test',
  'a zero-width space in the domain': 'a@x\u200b.test',
  'a soft hyphen in the domain': 'a@x\u00ad.test',
  'a right-to-left override': 'a@\u202ex.test',
  'a percent-encoded domain': 'a@x%2etest',
  'a path after the domain': 'a@x.test/y',
  'a port after the domain': 'a@x.test:25',
  'a comment': 'a(b)@x.test',
  'a display name': 'A <a@x.test>',
  'a second recipient': 'a@x.test,b@x.test',
  'a lone surrogate': 'a\ud800@x.test',
  'a lone surrogate in the domain': 'a@\ud800.test',
  'broken punycode': 'a@xn--a.test',
  'broken punycode in capitals': 'a@XN--0.test',
  'broken punycode beside other': 'a@xn--a.xn--zca.test',
  'punycode that stands for nothing but ASCII': 'a@xn--a-.test',
  'punycode of nothing': 'a@xn--.test',
  // Field: bbottema/simple-java-mail #652, python/cpython #152519. Readers of mail would show another address.
  'an encoded word': '=?utf-8?q?victim=40example.org=3e=20?=@x.test',
  'an encoded word that hides letters': '=?utf-8?q?=61=62=63?=@x.test',
  'an encoded word in Base64': '=?UTF-8?B?YWJj?=@x.test',
  'an encoded word with a language': '=?us-ascii*en?Q?abc?=@x.test',
  'an encoded word within a local part': 'a.=?utf-8?q?=62?=.c@x.test',
  'two encoded words': '=?a?q?b?==?a?q?c?=@x.test',
  'an encoded word of no charset': '=???=@x.test',
})) {
  test(`${why} is refused`, (t) => {
    t.is(parseEmailAddress(text), undefined);
  });
}

const someOf = (signs: string, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...signs), minLength: 1, maxLength });
const list = (part: fc.Arbitrary<string>, minLength: number): fc.Arbitrary<string> =>
  fc.array(part, { minLength, maxLength: 4 }).map((parts) => parts.join('.'));
/** Addresses of all kinds; most are taken, some end in a number or have a hyphen in the wrong place. */
const address = fc
  .tuple(list(someOf("aZ09!#$%&'*+/=^_`{|}~-", 15), 1), list(someOf('abcXYZ019-üß漢', 12), 2))
  .map(([local, domain]) => `${local}@${domain}`);

const anything = fc
  .array(fc.integer({ min: 0, max: 0x10_ff_ff }), { maxLength: 20 })
  .map((points) => String.fromCodePoint(...points));

test('a canonical address is its own canonical form, whatever was typed', (t) => {
  const taken = fc.sample(address, 300).flatMap((each) => parseEmailAddress(each) ?? []);
  t.true(taken.length > 50, `${taken.length} of 300 were taken`);
  for (const { canonical } of taken) t.is(parseEmailAddress(canonical)?.canonical, canonical);
});

const WRONG = ['@', '.', '"', 'ü', '\u200b', '%', ' ', '１', '\u0000', 'A', '=?', '?='];

test('whatever the text, the result is an ASCII address of at most 254 bytes or none', (t) => {
  const right = 'user.name@mail.example.test';
  const spoilt = WRONG.flatMap((wrong) =>
    Array.from(
      { length: right.length + 1 },
      (_, at) => right.slice(0, at) + wrong + right.slice(at),
    ),
  );
  const texts = [...spoilt, ...fc.sample(address, 200), ...fc.sample(anything, 200)];
  const taken = texts.flatMap((each) => parseEmailAddress(each)?.address ?? []);
  t.true(taken.length > 50 && taken.length < texts.length, `${taken.length} were taken`);
  for (const each of taken) t.regex(each, /^[!-~]{3,254}$/);
});

test('blanks around an address, which keyboards and copying add, do not count (field: vaultwarden #2348)', (t) => {
  const right = { address: 'a.b@x.test', canonical: 'a.b@x.test' };
  for (const blank of [' ', '  ', '\t', '\n', '\r\n', '\u00a0', '\u2003', '\u3000', '\ufeff'])
    for (const typed of [`a.b@x.test${blank}`, `${blank}a.b@x.test`, `${blank}a.b@x.test${blank}`])
      t.deepEqual(readTypedAddress(typed), right, JSON.stringify(typed));
  t.is(readTypedAddress(` ${longest} `)?.address, longest);
  for (const typed of [
    'a b@x.test',
    'a@x .test',
    'a@ x.test',
    'a @x.test',
    'a@x.test\u200b',
    'a@x.test\u202c',
    ' ',
    `${' '.repeat(1_000_000)}a@x.test`,
  ])
    t.is(readTypedAddress(typed), undefined);
});

test('an address is measured in the form that is sent to', (t) => {
  const domain = `${'ễ'.repeat(25)}.`.repeat(4);
  const composed = parseEmailAddress(`a@${domain}test`);
  t.true((composed?.address.length ?? 255) <= 254);
  t.deepEqual(parseEmailAddress(`a@${domain.normalize('NFD')}test`), composed);
});

test('a text of a million characters is refused by its length alone', (t) => {
  for (const text of [
    'a'.repeat(1e6),
    `${'a.'.repeat(5e5)}@x.test`,
    `a@${'x.'.repeat(5e5)}test`,
    '@'.repeat(1e6),
  ]) {
    t.is(parseEmailAddress(text), undefined);
  }
});
