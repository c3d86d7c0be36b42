import test from 'ava';
import { maskPath } from '../../../shared/logging/mask.js';

const TOKEN = `ct_${'0f'.repeat(16)}_${'aB3_-'.repeat(8)}xyz`;

test('tokens and addresses in a path are masked, and the text around them stays readable', (t) => {
  for (const [path, masked] of [
    [`/auth/confirm%3Ftoken=${TOKEN}`, '/auth/confirm?token=[token]'],
    [`/auth/confirm/${TOKEN.replaceAll('_', '%5F')}/x`, '/auth/confirm/[token]/x'],
    ['/users/ann@x.test', '/users/[address]'],
    ['/users/ann%2540x.test%20%0A%E2%82%AC', '/users/[address]%20%0A%E2%82%AC'],
    ['/users/%C3%A4nn@%C3%B6.test', '/users/[address]'],
  ] as const)
    t.is(maskPath(path), masked);
});

test('all of several in one run of characters are masked', (t) => {
  const jwt = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExIn0.${'aB3_-'.repeat(8)}`;
  for (const [path, masked] of [
    [`/${jwt}/${jwt}`, '/[token]/[token]'],
    [`/eyJ-eyJhbGci-${jwt}.x`, '/[token].x'],
    [`/x.eyJhbGci.${jwt}`, `/x.[token].${'aB3_-'.repeat(8)}`],
    ['/a.b+c@x.test/d@y.test', '/[address]/[address]'],
    ['/a@b@c.test@', '/[address]@c.test@'],
    [`/rt_1_2_${'a'.repeat(43)}@x`, '/[token]@x'],
    [`/rt_1_rt_1_2_${'a'.repeat(43)}`, '/rt_1_[token]'],
  ] as const)
    t.is(maskPath(path), masked);
});

test('a token or an address that is cut by the limit is removed whole', (t) => {
  const long = `/${'x'.repeat(2_019)}/ann.of.the.long.name@x.test`;
  t.is(maskPath(long), `/${'x'.repeat(2_019)}/[address]`);
  t.is(maskPath(`/y${long}`), `/y/${'x'.repeat(2_019)}/`);
  t.is(maskPath(`/${'a'.repeat(4_000)}@x.test`), '/');
});

test('any other path is unchanged, up to 2,048 characters', (t) => {
  for (const path of ['/', '', '/users/12', '/%E0%A4%A', '/%', '/%00%0a', '/@', '/a%40', '*'])
    t.is(maskPath(path), path);
  t.is(maskPath('/x'.repeat(5_000)), `${'/x'.repeat(1_023)}/`);
  t.is(maskPath(`/${'a'.repeat(2_047)}`).length, 2_048);
});
