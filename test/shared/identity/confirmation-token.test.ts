import { randomBytes } from 'node:crypto';
import test from 'ava';
import { v7 as uuidv7 } from 'uuid';
import { deriveKeyRing } from '../../../shared/crypto/keys.js';
import {
  confirmationIdOf,
  isConfirmationToken,
  deriveConfirmationToken,
  type ConfirmationFacts,
} from '../../../shared/identity/confirmation-token.js';

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
