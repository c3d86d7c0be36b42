import crypto, { createHmac } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import test, { type ExecutionContext } from 'ava';
import { createCursors } from '../../../api/http/input/pagination.js';
import {
  deriveRefreshToken,
  hashRefreshToken,
  isRefreshToken,
  newRefreshNonce,
  recallRefreshToken,
} from '../../../api/sessions/refresh-tokens.js';
import { areEqualSecrets } from '../../../shared/crypto/equal-secrets.js';
import { deriveKeyRing, type KeyPurpose } from '../../../shared/crypto/keys.js';
import {
  isConfirmationToken,
  deriveConfirmationToken,
} from '../../../shared/identity/confirmation-token.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

const purposes: readonly KeyPurpose[] = ['access-token', 'refresh-token', 'confirmation', 'cursor'];
const secrets = { current: 'new secret', previous: ['old secret', 'older secret'] };

test('the same secrets give the same keys and ids in every process', (t) => {
  const [one, other] = [deriveKeyRing(secrets, 'cursor'), deriveKeyRing({ ...secrets }, 'cursor')];
  t.deepEqual(
    one.all.map(({ id, key }) => [id, key.export()]),
    other.all.map(({ id, key }) => [id, key.export()]),
  );
});

test('a key is HKDF-SHA-256 of the secret with the purpose as info', (t) => {
  const prk = createHmac('sha256', Buffer.alloc(32)).update('new secret').digest();
  const okm = createHmac('sha256', prk)
    .update('rollcall/confirmation/v1')
    .update(Buffer.from([1]))
    .digest();
  t.deepEqual(deriveKeyRing(secrets, 'confirmation').current.key.export(), okm);
});

test('no two purposes and no two secrets share a key or an id', (t) => {
  const rings = purposes.flatMap((purpose) => deriveKeyRing(secrets, purpose).all);
  t.is(new Set(rings.map(({ id }) => id)).size, purposes.length * 3);
  t.is(new Set(rings.map(({ key }) => key.export().toString('hex'))).size, purposes.length * 3);
});

test('a ring signs with the current secret and verifies with all of them, newest first', (t) => {
  const { current, all } = deriveKeyRing(secrets, 'access-token');
  t.is(all.length, 3);
  t.is(all[0], current);
  const old = deriveKeyRing({ current: 'old secret', previous: [] }, 'access-token').current;
  t.is(all[1]?.id, old.id);
});

test('an id is short, printable and reveals nothing of its key', (t) => {
  const { id, key } = deriveKeyRing(secrets, 'access-token').current;
  t.regex(id, /^[0-9a-f]{12}$/);
  t.false(key.export().toString('hex').includes(id));
});

const keysFor = (purpose: Parameters<typeof deriveKeyRing>[1]) =>
  deriveKeyRing({ current: 'a secret of this test', previous: [] }, purpose);

test('S42 secrets are equal when they are, byte for byte, and of one length', (t) => {
  t.true(areEqualSecrets('a secret', 'a secret'));
  t.true(areEqualSecrets(Buffer.from('é'), 'é'));
  for (const other of ['a secreT', 'A secret', 'a secre', 'a secret ', '', 'é'])
    t.false(areEqualSecrets(other, 'a secret'), other);
  t.true(areEqualSecrets('', ''));
});

test.serial(
  'S42 whoever forges a token learns nothing of how near it was: each is compared in constant time',
  (t) => {
    const compared = countCompares(t);
    const facts = {
      id: '0b9d1c1e-6b0f-4d56-9a35-0d9a4b7f0001',
      ...{ purpose: 'registration', email: 'ann@x.test', nonce: Buffer.alloc(16, 1) },
    };
    const confirmation = deriveConfirmationToken(keysFor('confirmation'), facts);
    const source = { sessionId: 7, nonce: newRefreshNonce() };
    const refresh = deriveRefreshToken(keysFor('refresh-token'), source, 3);
    const cursors = createCursors(keysFor('cursor'), 'https://rollcall.example');
    const cursor = cursors.encode('users of 1', 42);
    const reads = (text: string): boolean => {
      try {
        return cursors.decode('users of 1', text) === 42;
      } catch {
        return false;
      }
    };
    for (const [what, token, isRight] of [
      [
        'a confirmation link',
        confirmation,
        (text: string) => isConfirmationToken(keysFor('confirmation'), facts, text),
      ],
      [
        'a refresh token',
        refresh,
        (text: string) => isRefreshToken(keysFor('refresh-token'), source, 3, text),
      ],
      [
        'the hash of a refresh token',
        refresh,
        (text: string) =>
          recallRefreshToken(keysFor('refresh-token'), source, 3, hashRefreshToken(text)) !==
          undefined,
      ],
      ['a cursor', cursor, reads],
    ] as const) {
      const changed = `${token.slice(0, -2)}${token.at(-2) === 'A' ? 'B' : 'A'}${token.at(-1)}`;
      for (const [text, expected] of [
        [token, true],
        [changed, false],
      ] as const) {
        compared.count = 0;
        t.is(isRight(text), expected, what);
        t.is(compared.count, 1, what);
      }
    }
  },
);

/** Counts the compares in constant time, of whatever module. */
function countCompares(t: ExecutionContext): { count: number } {
  const compared = { count: 0 };
  const { timingSafeEqual } = crypto;
  const replace = (compare: typeof timingSafeEqual): void => {
    Object.assign(crypto, { timingSafeEqual: compare });
    syncBuiltinESMExports();
  };
  t.teardown(() => replace(timingSafeEqual));
  replace((a, b) => {
    compared.count += 1;
    return timingSafeEqual(a, b);
  });
  return compared;
}
