import { createHmac } from 'node:crypto';
import test from 'ava';
import { deriveKeyRing, type KeyPurpose } from '../../../shared/crypto/keys.js';

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
