import test from 'ava';
import { requestIdFrom } from '../../../shared/http/request-headers.js';

test('a name of 8 to 64 letters, digits, dashes and underscores is kept', (t) => {
  for (const given of ['12345678', 'a_b-C_d-9', 'x'.repeat(64)]) t.is(requestIdFrom(given), given);
});

test('any other is replaced, by a new one each time', (t) => {
  for (const given of [
    '1234567',
    'x'.repeat(65),
    'with space',
    'line\n12345',
    ['12345678'],
    undefined,
  ])
    t.regex(requestIdFrom(given), /^[0-9a-f-]{36}$/);
  t.not(requestIdFrom(undefined), requestIdFrom(undefined));
});
