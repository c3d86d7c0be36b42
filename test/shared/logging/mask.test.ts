import test from 'ava';
import { maskPath } from '../../../shared/logging/mask.js';

const TOKEN = `ct_${'0f'.repeat(16)}_${'aB3_-'.repeat(8)}xyz`;

test('what hides in a path is masked, and what is around it can still be read', (t) => {
  for (const [path, masked] of [
    [`/auth/confirm%3Ftoken=${TOKEN}`, '/auth/confirm?token=[token]'],
    [`/auth/confirm/${TOKEN.replaceAll('_', '%5F')}/x`, '/auth/confirm/[token]/x'],
    ['/users/ann@x.test', '/users/[address]'],
    ['/users/ann%2540x.test%20%0A%E2%82%AC', '/users/[address]%20%0A%E2%82%AC'],
    ['/users/%C3%A4nn@%C3%B6.test', '/users/[address]'],
  ] as const)
    t.is(maskPath(path), masked);
});

test('any other path stays as it is, up to 2,048 characters', (t) => {
  for (const path of ['/', '', '/users/12', '/%E0%A4%A', '/%', '/%00%0a', '/@', '/a%40', '*'])
    t.is(maskPath(path), path);
  t.is(maskPath('/x'.repeat(5_000)).length, 2_048);
});
