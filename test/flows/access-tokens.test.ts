import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import test from 'ava';
import jwt from 'jsonwebtoken';
import { deriveKeyRing } from '../../shared/crypto/keys.js';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { PUBLIC_URL, SECRET_KEY } from '../helpers/env.js';

const context = useContext();
const api = useApi(context);

const { id: kid, key } = deriveKeyRing(
  { current: SECRET_KEY, previous: [] },
  'access-token',
).current;
const otherKey = deriveKeyRing({ current: SECRET_KEY, previous: [] }, 'confirmation').current.key;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;

let admin: TestAdmin;
let claims: Record<string, unknown>;
test.serial.before('log in', async () => {
  admin = await api.admins.confirmedAdmin();
  claims = jwt.decode(admin.login.access_token) as Record<string, unknown>;
});

const GOOD_HEADER = { alg: 'HS256', typ: 'at+jwt', kid };
const now = (): number => Math.floor(Date.now() / 1_000);

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs anything at all, where a library would have its doubts. */
function hmacToken(
  header: object,
  payload: object,
  secret: KeyObject | string | Buffer,
  hash: string,
): string {
  const unsigned = `${encode(header)}.${encode(payload)}`;
  return `${unsigned}.${createHmac(hash, secret).update(unsigned).digest('base64url')}`;
}

const forgeHs256 = (header: object, payload: object): string =>
  hmacToken(header, payload, key, 'sha256');
const without = (claim: string): object =>
  Object.fromEntries(Object.entries(claims).filter(([name]) => name !== claim));

test.serial(
  'a token made by the rules of this service is taken: the forgeries below fail for what they forge',
  async (t) => {
    t.is(await statusOf(forgeHs256(GOOD_HEADER, claims)), 200);
  },
);

for (const [what, make] of Object.entries<() => string>({
  'alg none': () => `${encode({ ...GOOD_HEADER, alg: 'none' })}.${encode(claims)}.`,
  'alg nOnE with the old signature': () =>
    `${encode({ ...GOOD_HEADER, alg: 'nOnE' })}.${admin.login.access_token.split('.').slice(1).join('.')}`,
  'no signature': () => admin.login.access_token.replace(/[^.]+$/, ''),
  'an empty key': () => hmacToken(GOOD_HEADER, claims, Buffer.alloc(1), 'sha256'),
  'a well-known key': () => hmacToken(GOOD_HEADER, claims, 'super-secret-key', 'sha256'),
  'the public URL as key': () => hmacToken(GOOD_HEADER, claims, PUBLIC_URL, 'sha256'),
  'the configured secret itself as key': () => hmacToken(GOOD_HEADER, claims, SECRET_KEY, 'sha256'),
  'the key of another purpose': () => hmacToken(GOOD_HEADER, claims, otherKey, 'sha256'),
  'HS512 with the right key': () =>
    hmacToken({ ...GOOD_HEADER, alg: 'HS512' }, claims, key, 'sha512'),
  'RS256 with a key of its own': () =>
    jwt.sign(claims, rsa, { algorithm: 'RS256', header: { ...GOOD_HEADER, alg: 'RS256' } }),
  'another kid': () => forgeHs256({ ...GOOD_HEADER, kid: 'other' }, claims),
  'a path for a kid': () => forgeHs256({ ...GOOD_HEADER, kid: '../../dev/null' }, claims),
  'a kid named __proto__': () => forgeHs256({ ...GOOD_HEADER, kid: '__proto__' }, claims),
  'a list for a kid': () => forgeHs256({ ...GOOD_HEADER, kid: [kid] }, claims),
  'no kid': () => forgeHs256({ alg: 'HS256', typ: 'at+jwt' }, claims),
  'a jku': () => forgeHs256({ ...GOOD_HEADER, jku: 'http://127.0.0.1:9/keys' }, claims),
  crit: () => forgeHs256({ ...GOOD_HEADER, crit: ['exp'] }, claims),
  'b64 false': () => forgeHs256({ ...GOOD_HEADER, b64: false }, claims),
  'type JWT': () => forgeHs256({ ...GOOD_HEADER, typ: 'JWT' }, claims),
  'no type': () => forgeHs256({ alg: 'HS256', kid }, claims),
  'an expiry that has passed': () =>
    forgeHs256(GOOD_HEADER, { ...claims, iat: now() - 900, nbf: now() - 900, exp: now() - 10 }),
  'no expiry': () => forgeHs256(GOOD_HEADER, without('exp')),
  'an expiry in text': () => forgeHs256(GOOD_HEADER, { ...claims, exp: String(claims['exp']) }),
  'a life longer than we give': () => forgeHs256(GOOD_HEADER, { ...claims, exp: now() + 86_400 }),
  'a beginning in the future': () => forgeHs256(GOOD_HEADER, { ...claims, nbf: now() + 60 }),
  'an issue date in the future': () =>
    forgeHs256(GOOD_HEADER, { ...claims, iat: now() + 3_600, exp: now() + 3_700 }),
  'another issuer': () => forgeHs256(GOOD_HEADER, { ...claims, iss: 'https://evil.test' }),
  'no issuer': () => forgeHs256(GOOD_HEADER, without('iss')),
  'another audience': () => forgeHs256(GOOD_HEADER, { ...claims, aud: 'https://evil.test/' }),
  'several audiences': () =>
    forgeHs256(GOOD_HEADER, { ...claims, aud: ['https://evil.test/', claims['aud']] }),
  'no audience': () => forgeHs256(GOOD_HEADER, without('aud')),
  'another admin’s id': () => forgeHs256(GOOD_HEADER, { ...claims, sub: String(admin.id + 1) }),
  'a session that never was': () => forgeHs256(GOOD_HEADER, { ...claims, sid: 2_147_483_647 }),
  'a session beyond any': () => forgeHs256(GOOD_HEADER, { ...claims, sid: 99_999_999_999 }),
  'an admin beyond any': () => forgeHs256(GOOD_HEADER, { ...claims, sub: '9999999999' }),
  'an operator in its claims': () => forgeHs256(GOOD_HEADER, { ...claims, role: 'operator' }),
})) {
  test.serial(`a token with ${what} is refused`, async (t) => {
    t.is(await statusOf(make()), 401);
  });
}

test.serial('a token is carried one way only', async (t) => {
  const token = admin.login.access_token;
  const ask = (authorization: string, path = '/auth/me') =>
    api.client.request('GET', path, { headers: { authorization } });
  t.is((await ask(`bearer ${token}`)).status, 200, 'the scheme’s case does not matter');
  for (const authorization of [
    `Basic ${token}`,
    `Token ${token}`,
    token,
    `Bearer ${token} x`,
    `Bearer  `,
    `Bearer ${'a'.repeat(4_200)}.a.a`,
  ]) {
    const { status, headers } = await ask(authorization);
    t.is(status, 401, authorization.slice(0, 40));
    t.is(headers.get('www-authenticate'), 'Bearer realm="rollcall", error="invalid_token"');
  }
  const { status, headers } = await api.client.get('/auth/me');
  t.deepEqual([status, headers.get('www-authenticate')], [401, 'Bearer realm="rollcall"']);
  t.is((await api.client.get(`/auth/me?access_token=${token}`)).status, 401);
});

async function statusOf(token: string): Promise<number> {
  return (await api.client.as(token).get('/auth/me')).status;
}
