import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import jwt from 'jsonwebtoken';
import { deriveKeyRing, type KeyPurpose } from '../../shared/crypto/keys.js';
import { loopback } from '../../dev/stack/processes/ports.js';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { PUBLIC_URL, SECRET_KEY } from '../helpers/env.js';
import { createTokenForge, encodePart, type TokenForge } from '../helpers/token-forge.js';

const context = useSharedContext('api');
const api = useApi(context);

let admin: TestAdmin;
let forge: TokenForge;
test.serial.before('log in', async () => {
  admin = await api.admins.confirmedAdmin();
  forge = createTokenForge(admin.login.access_token);
});

const REALM = 'Bearer realm="rollcall"';
const REFUSED = `${REALM}, error="invalid_token"`;
const now = (): number => Math.floor(Date.now() / 1_000);
const keyFor = (purpose: KeyPurpose) =>
  deriveKeyRing({ current: SECRET_KEY, previous: [] }, purpose).current.key;

test('S28 a token that the service has not signed, by its one algorithm and key, is refused', async (t) => {
  const { header, claims, key, withHmac, signed } = forge;
  t.is(
    await statusOf(signed({})),
    200,
    'the forge works: the tokens below fail for what they forge',
  );

  const [, payload = '', signature = ''] = admin.login.access_token.split('.');
  const headed = (alg: string, end: string): string =>
    `${encodePart({ ...header, alg })}.${payload}.${end}`;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const publicPem = createPublicKey(createPrivateKey(rsa.export({ type: 'pkcs8', format: 'pem' })))
    .export({ type: 'spki', format: 'pem' })
    .toString();
  const ofOwnKey = (algorithm: jwt.Algorithm, ownKey: typeof rsa): string =>
    jwt.sign(claims, ownKey, { algorithm, header: { ...header, alg: algorithm } });
  const otherPurposes = ['confirmation', 'refresh-token', 'cursor', 'throttle'] as const;

  await allRefused(t, {
    ...Object.fromEntries(
      ['none', 'None', 'NONE', 'nOnE', ''].flatMap((alg) => [
        [`algorithm "${alg}" and no signature`, headed(alg, '')],
        [`algorithm "${alg}" and an old signature`, headed(alg, signature)],
      ]),
    ),
    ...Object.fromEntries(
      ['', 'secret', 'super-secret-key', PUBLIC_URL, `${PUBLIC_URL}/`, publicPem, SECRET_KEY].map(
        (secret) => [`the secret "${secret}"`, withHmac(header, claims, secret)],
      ),
    ),
    ...Object.fromEntries(
      otherPurposes.map((purpose) => [
        `the key for ${purpose}`,
        withHmac(header, claims, keyFor(purpose)),
      ]),
    ),
    'HS384 with the right key': withHmac({ ...header, alg: 'HS384' }, claims, key, 'sha384'),
    'HS512 with the right key': withHmac({ ...header, alg: 'HS512' }, claims, key, 'sha512'),
    'HS512 that says HS256': withHmac(header, claims, key, 'sha512'),
    'RS256 with a key of its own': ofOwnKey('RS256', rsa),
    'PS256 with a key of its own': ofOwnKey('PS256', rsa),
    'ES256 with a key of its own': ofOwnKey('ES256', ec),
    'ES256 with a signature of zeros': headed('ES256', encodePart('\0'.repeat(64))),
    'no signature': headed('HS256', ''),
    'half a signature': headed('HS256', signature.slice(0, 20)),
    'the signature of other claims': `${encodePart(header)}.${encodePart({ ...claims, role: 'operator' })}.${signature}`,
  });
});

test('S28 parts that are no JSON, or no object, are refused like any other token', async (t) => {
  const { header, claims, key, withHmac } = forge;
  await allRefused(t, {
    'claims that are no JSON': withHmac(header, 'nonsense', key),
    'claims that are no JSON, by a header that promises some': withHmac(
      { ...header, typ: 'JWT' },
      'nonsense',
      key,
    ),
    'claims null': withHmac(header, null, key),
    'claims in a list': withHmac(header, [claims], key),
    'no claims': withHmac(header, {}, key),
    'a header null': withHmac(null, claims, key),
    'a header in a list': withHmac([header], claims, key),
    'a header that is a text': withHmac('"HS256"', claims, key),
    'a header that is no JSON': withHmac('nonsense', claims, key),
    'an empty header': withHmac({}, claims, key),
  });
});

test('S29 a header that names another key, or where to find one, is refused and nothing is fetched', async (t) => {
  const { header, signed } = forge;
  const sink = await openSink(t);
  const jwk = { kty: 'oct', k: encodePart('a key of my own') };
  const kids: unknown[] = [
    '../../dev/null',
    "' OR 1=1--",
    '__proto__',
    'constructor',
    'toString',
    '',
    'x'.repeat(2_000),
    [header['kid']],
    { kid: header['kid'] },
    null,
    0,
    undefined,
  ];
  await allRefused(t, {
    ...Object.fromEntries(kids.map((kid) => [`kid ${JSON.stringify(kid)}`, signed({ kid })])),
    jku: signed({ jku: sink.url }),
    x5u: signed({ x5u: sink.url }),
    'jku and an unknown kid': signed({ jku: sink.url, kid: 'theirs' }),
    jwk: signed({ jwk }),
    'jwk, signed with it': forge.withHmac({ ...header, jwk }, forge.claims, 'a key of my own'),
    x5c: signed({ x5c: ['MIIB'] }),
    crit: signed({ crit: ['exp'] }),
    'crit that is empty': signed({ crit: [] }),
    'b64 false': signed({ b64: false, crit: ['b64'] }),
    'b64 false alone': signed({ b64: false }),
    'a field of its own': signed({ admin: true }),
  });
  t.is(sink.connections(), 0);
});

test('S30 a token before or after its time, or without one, is refused', async (t) => {
  const { signed } = forge;
  const span = (from: number, life: number) => ({ iat: from, nbf: from, exp: from + life });
  await allRefused(t, {
    'an expiry that has passed': signed({}, span(now() - 900, 890)),
    'an expiry that has just been reached': signed({}, span(now() - 900, 900)),
    'no expiry': signed({}, { exp: undefined }),
    'an expiry in text': signed({}, { exp: String(now() + 60) }),
    'an expiry with a fraction': signed({}, { exp: now() + 60.5 }),
    'an expiry beyond numbers': signed({}, { exp: 1e300 }),
    'no beginning': signed({}, { nbf: undefined }),
    'a beginning in the future': signed({}, { nbf: now() + 60 }),
    'no time of issue': signed({}, { iat: undefined }),
    'a time of issue in 2099': signed({}, span(4_070_908_800, 900)),
    'a time of issue a minute ahead': signed({}, { iat: now() + 60, exp: now() + 120 }),
    'a life longer than the service gives': signed({}, span(now(), 901)),
    'a life of a day': signed({}, span(now(), 86_400)),
  });
});

test('S31 a token for somebody else, from somebody else, or of another type is refused', async (t) => {
  const { claims, signed } = forge;
  const { aud, iss, sub } = claims;
  await allRefused(t, {
    'another issuer': signed({}, { iss: 'https://evil.test' }),
    'an issuer that begins like ours': signed({}, { iss: `${String(iss)}.evil.test` }),
    'issuers in a list': signed({}, { iss: [iss] }),
    'no issuer': signed({}, { iss: undefined }),
    'another audience': signed({}, { aud: 'https://evil.test/' }),
    'an audience that holds ours': signed({}, { aud: `x${String(aud)}x` }),
    'ours among several audiences': signed({}, { aud: ['https://evil.test/', aud] }),
    'ours in a list': signed({}, { aud: [aud] }),
    'no audience': signed({}, { aud: undefined }),
    ...Object.fromEntries(
      ['JWT', 'jwt', 'rt+jwt', 'AT+JWT', 'application/at+jwt', '', undefined, ['at+jwt']].map(
        (typ) => [`type ${JSON.stringify(typ)}`, signed({ typ })],
      ),
    ),
    'another admin': signed({}, { sub: String(Number(sub) + 1) }),
    'an admin beyond any': signed({}, { sub: '9999999999' }),
    'an admin as a number': signed({}, { sub: Number(sub) }),
    'no admin': signed({}, { sub: undefined }),
    'a session that never was': signed({}, { sid: 2_147_483_647 }),
    'a session beyond any': signed({}, { sid: 99_999_999_999 }),
    'a session in text': signed({}, { sid: String(claims['sid']) }),
    'no session': signed({}, { sid: undefined }),
    'no generation': signed({}, { gen: undefined }),
    'a generation in text': signed({}, { gen: String(claims['gen']) }),
    'a generation before the first': signed({}, { gen: -1 }),
    'half a generation': signed({}, { gen: 0.5 }),
    'no id': signed({}, { jti: undefined }),
    'an operator in its claims': signed({}, { role: 'operator' }),
  });
});

test('S33 a token is carried one way only: by one Authorization header, with nothing around it', async (t) => {
  const token = admin.login.access_token;
  const ask = (authorization: string) => api.client.get('/auth/me', { headers: { authorization } });
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    t.is((await ask(`${scheme} ${token}`)).status, 200, 'the scheme’s case does not matter');
  }
  for (const authorization of [
    `Basic ${token}`,
    `Basic ${Buffer.from(`${admin.email}:${admin.password}`).toString('base64')}`,
    `Token ${token}`,
    `Bearer"${token}"`,
    token,
  ]) {
    const { status, headers } = await ask(authorization);
    t.deepEqual([status, headers.get('www-authenticate')], [401, REALM], authorization);
  }
  for (const authorization of [
    `Bearer`,
    `Bearer  `,
    `Bearer ${token} x`,
    `Bearer x ${token}`,
    `Bearer ${token},Bearer ${token}`,
    `Bearer "${token}"`,
    `Bearer ${token}.`,
    `Bearer ${'a'.repeat(4_200)}.a.a`,
  ]) {
    const { status, headers } = await ask(authorization);
    t.deepEqual([status, headers.get('www-authenticate')], [401, REFUSED], authorization);
  }

  const bare = await api.client.get('/auth/me');
  t.deepEqual([bare.status, bare.headers.get('www-authenticate')], [401, REALM]);
  const inCookie = { headers: { cookie: `access_token=${token}` } };
  t.is((await api.client.get('/auth/me', inCookie)).status, 401);
  t.is((await api.client.get(`/users?access_token=${token}`)).status, 401);
  const inBody = { email: 'in-body@x.test', access_token: token };
  t.is((await api.client.post('/users', inBody)).status, 401);

  const good = `Bearer ${token}`;
  for (const pair of [
    [good, 'Bearer x.y.z'],
    ['Bearer x.y.z', good],
    [good, good],
  ]) {
    t.is(await statusOfTwoHeaders(pair), 400, 'two readers could take either one');
  }
});

test('S34 a token of an ended session, in another spelling of the same bytes, is refused', async (t) => {
  const login = await loginWithBothLetters();
  const [header = '', payload = '', signature = ''] = login.access_token.split('.');
  const spellings = {
    'the alphabet of plain base64': signature.replaceAll('-', '+').replaceAll('_', '/'),
    padding: `${signature}=`,
    'another last letter, which holds spare bits': `${signature.slice(0, -1)}${after(signature.slice(-1))}`,
  };
  const tokens = Object.fromEntries(
    Object.entries(spellings).map(([what, end]) => [what, `${header}.${payload}.${end}`]),
  );
  t.is(await statusOf(login.access_token), 200);
  await allRefused(t, tokens);
  t.is((await api.client.as(login.access_token).post('/auth/logout')).status, 204);
  await allRefused(t, { 'as it was': login.access_token, ...tokens });
});

async function allRefused(
  t: ExecutionContext,
  tokens: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [what, token] of Object.entries(tokens)) {
    const { status, body, headers } = await api.client.as(token).get<{ code?: string }>('/auth/me');
    t.deepEqual(
      [status, body.code, headers.get('www-authenticate')],
      [401, 'unauthorized', REFUSED],
      what,
    );
  }
}

async function statusOf(token: string): Promise<number> {
  return (await api.client.as(token).get('/auth/me')).status;
}

/** fetch would join the two into one. */
async function statusOfTwoHeaders(authorization: readonly string[]): Promise<number | undefined> {
  const sent = request(`${api.client.baseUrl}/auth/me`, {
    headers: ['Host', 'x', ...authorization.flatMap((value) => ['Authorization', value])],
  }).end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  return answer.statusCode;
}

/** A login whose token's signature differs between the two base64 alphabets. */
async function loginWithBothLetters(): Promise<{ readonly access_token: string }> {
  for (;;) {
    const login = await api.admins.logIn(admin);
    if (/-[^.]*$/.test(login.access_token) && /_[^.]*$/.test(login.access_token)) return login;
  }
}

/** The letter whose six bits come next: in the last letter of 32 bytes the lowest two do not count. */
function after(letter: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(letter) + 1] ?? '';
}

/** A server that counts who calls. */
async function openSink(
  t: ExecutionContext,
): Promise<{ readonly url: string; connections(): number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://${loopback}:${port}/keys.json`, connections: () => connections };
}
