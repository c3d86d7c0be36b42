import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { type TestAdmin, mintedToken } from '../helpers/admins.js';
import type { Answer } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { loadContract } from '../helpers/contract.js';
import { operationsOf, readDocument } from '../helpers/openapi.js';
import type { Problem } from '../helpers/problem.js';
import { exchange, openConnection, readAnswer } from '../helpers/raw-http.js';
import { userAnswer } from '../helpers/samples.js';

const context = useSharedContext('api');
const api = useApi(context);

/** What `POST /auth/login` reads, and `POST /users`. */
const CREDENTIALS_LIMIT = 32_768;
const NORMAL_LIMIT = 16_384;
const MEBIBYTE = 1_024 * 1_024;
const credentials = { email: 'nobody@x.test', password: 'a password that is long enough' };

let loggedIn: TestAdmin;
test.serial.before('log in', async () => {
  loggedIn = await api.admins.confirmedAdmin();
});

test('S52 a body that says that it is too large is refused before any of it is sent', async (t) => {
  const { status, headers, body } = await exchange(
    api.server.url,
    login(`Content-Length: ${CREDENTIALS_LIMIT + 1}`),
  );
  t.is(status, 413);
  t.is(headers.get('connection'), 'close');
  t.is((JSON.parse(body) as Problem).code, 'payload_too_large');
});

test('S52 a body without an end is not read on: the answer comes, and the connection is closed', async (t) => {
  const socket = await openConnection(api.server.url);
  const answer = readAnswer(socket);
  socket.write(login('Transfer-Encoding: chunked'));
  const chunk = `${(65_536).toString(16)}\r\n${'x'.repeat(65_536)}\r\n`;
  const write = (): void => {
    while (!socket.destroyed && socket.bytesWritten < 64 * MEBIBYTE && socket.write(chunk));
  };
  socket.on('drain', write);
  write();
  const { status } = await answer;
  t.is(status, 413);
  t.true(socket.bytesWritten < 32 * MEBIBYTE, 'most of it was never taken');
});

test('S52 a client that sends far too much reads its answer, and goes on with another connection', async (t) => {
  for (let i = 0; i < 5; i++) {
    const { status } = await api.client.post('/auth/login', {
      ...credentials,
      x: 'x'.repeat(300_000),
    });
    t.is(status, 413);
  }
});

test('S52 the limits are met exactly', async (t) => {
  const sized = (json: object, bytes: number): string => JSON.stringify(json).padEnd(bytes, ' ');
  const headers = { 'content-type': 'application/json' };
  for (const [bytes, status] of [
    [CREDENTIALS_LIMIT, 401],
    [CREDENTIALS_LIMIT + 1, 413],
  ] as const) {
    const body = sized(credentials, bytes);
    t.is((await api.client.request('POST', '/auth/login', { body, headers })).status, status);
  }
  for (const [bytes, status] of [
    [NORMAL_LIMIT, 422],
    [NORMAL_LIMIT + 1, 413],
  ] as const) {
    const body = sized({ email: 'no address' }, bytes);
    t.is((await loggedIn.client.request('POST', '/users', { body, headers })).status, status);
  }
});

test('S52 a compressed body is not inflated, whatever is in it', async (t) => {
  const bomb = gzipSync(Buffer.alloc(5 * MEBIBYTE));
  for (const coding of ['gzip', 'deflate', 'br', 'GZIP', 'gzip, identity']) {
    const { status, body } = await api.client.request<Problem>('POST', '/auth/login', {
      body: bomb.subarray(0, 4_000),
      headers: { 'content-type': 'application/json', 'content-encoding': coding },
    });
    t.deepEqual([status, body.code], [415, 'unsupported_media_type'], coding);
  }
});

test('S52 a body that ends early is no request', async (t) => {
  const socket = await openConnection(api.server.url);
  socket.write(`${login('Content-Length: 50')}{"email":`);
  socket.destroySoon();
  await once(socket, 'close');
  t.is((await api.client.get('/health/live')).status, 200);
  t.false(api.server.stdout().includes('request failed'));
});

test('S53 what is no JSON object, or not one for every reader alike, is refused', async (t) => {
  const text = JSON.stringify(credentials);
  await refused(t, {
    nothing: '',
    'half an object': '{"email":',
    'a text': '"email"',
    'a list': '[]',
    null: 'null',
    'UTF-16': Buffer.from(text, 'utf16le'),
    'a byte that is not UTF-8': Buffer.concat([
      Buffer.from(text.slice(0, -1)),
      Buffer.from([0xff, 0x7d]),
    ]),
    'an overlong slash': Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d]),
    'a comment': `${text}//`,
    'two objects': text + text,
    'nine levels of lists': `{"a":${'['.repeat(9)}${']'.repeat(9)}}`,
    '2,000 levels of lists': `{"a":${'['.repeat(2_000)}${']'.repeat(2_000)}}`,
    '2,000 levels without an end': '['.repeat(2_000),
    '33 fields': JSON.stringify(Object.fromEntries(Array.from({ length: 33 }, (_, i) => [i, i]))),
    'a field twice': '{"email":"a@x.test","email":"b@x.test","password":"x"}',
    'a field twice, once escaped': String.raw`{"email":"a@x.test","\u0065mail":"b@x.test","password":"x"}`,
    'a field twice, inside another': '{"x":{"a":1,"a":2}}',
    'a field twice, in a list': '{"x":[{"a":1,"b":{},"a":2}]}',
    '__proto__ twice': '{"__proto__":1,"__proto__":2}',
  });
});

test('S53 names may come again in another object, and in texts', async (t) => {
  const odd = String.raw`{"a":{"a":"\"a\":1,\"a\":2"},"b":[{"a":1},{"a":{"a":[]}}],"c":"{\"c\":","d":"a"}`;
  const { status, body } = await post(odd);
  t.is(status, 422);
  t.deepEqual(
    body.errors?.map(({ pointer }) => pointer).filter((pointer) => /#\/[a-d]$/.test(pointer)),
    ['#/a', '#/b', '#/c', '#/d'],
  );
});

test('S53 a number beyond all bounds is not a value', async (t) => {
  // JSON allows `1e400` (RFC 8259, section 6), so that it is no 400: read as Infinity it is refused by the schema.
  t.is((await post('{"email":1e400,"password":-1e400}')).status, 422);
});

test('S53 a form with a field sent twice is refused', async (t) => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  for (const body of ['token=a&token=b', 'token=a&t%6fken=b', 'a=&'.repeat(2), 'a%5B%5D=1&a[]=2']) {
    t.is((await api.client.request('POST', '/auth/confirm', { body, headers })).status, 400, body);
  }
});

test('S54 only JSON in UTF-8 is taken, and answered in JSON whatever the client would rather have', async (t) => {
  const body = JSON.stringify(credentials);
  for (const type of [
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/problem+json',
    'application/json; charset=utf-7',
    'application/json; charset=utf-16',
    'application/json; charset=latin1',
    'application/json, text/plain',
    'application/jsonp',
    '',
  ]) {
    const { status } = await api.client.request('POST', '/auth/login', {
      body,
      headers: { 'content-type': type },
    });
    t.is(status, 415, type);
  }
  for (const type of [
    'application/json',
    'APPLICATION/JSON',
    'application/json; charset="UTF-8"',
  ]) {
    const { status, headers } = await api.client.request('POST', '/auth/login', {
      body,
      headers: { 'content-type': type, accept: 'application/xml' },
    });
    t.is(status, 401, type);
    t.is(headers.get('content-type'), 'application/problem+json');
    t.is(headers.get('x-content-type-options'), 'nosniff');
  }
  const untyped = login(`Content-Length: ${body.length}`).replace(/Content-Type.*\r\n/, '');
  t.is(
    (
      await exchange(
        api.server.url,
        untyped.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n') + body,
      )
    ).status,
    415,
  );
});

test('S55 no body and no query reaches a prototype', async (t) => {
  for (const body of [
    '{"email":"p@x.test","__proto__":{"active":false,"admin":1}}',
    '{"email":"p@x.test","constructor":{"prototype":{"admin":1}}}',
    '{"email":"p@x.test","prototype":{"admin":1}}',
  ]) {
    const answer = await loggedIn.client.request<Problem>('POST', '/users', {
      body,
      headers: { 'content-type': 'application/json' },
    });
    t.is(answer.status, 422, body);
    t.regex(answer.body.errors?.[0]?.pointer ?? '', /^#\/(__proto__|constructor|prototype)$/);
  }
  for (const query of [
    '__proto__[x]=1',
    '__proto__.x=1',
    'constructor[prototype][x]=1',
    '__proto__=1',
  ]) {
    t.is((await loggedIn.client.get(`/users?${query}`)).status, 422, query);
    t.is((await api.client.get(`/?${query}`)).status, 200, query);
  }
  const created = await loggedIn.client.post<Record<string, unknown>>('/users', {
    email: 'p@x.test',
  });
  t.deepEqual(
    [created.status, created.body['active'], created.body['admin']],
    [201, true, undefined],
  );
  t.deepEqual(Object.keys((await api.client.get<object>('/')).body).toSorted(), [
    'docs',
    'name',
    'version',
  ]);
});

function login(header: string): string {
  return `POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${header}\r\n\r\n`;
}

const post = (body: string | Uint8Array) =>
  api.client.request<Problem>('POST', '/auth/login', {
    body,
    headers: { 'content-type': 'application/json' },
  });

async function refused(
  t: ExecutionContext,
  bodies: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  for (const [what, body] of Object.entries(bodies)) {
    const answer = await post(body);
    t.deepEqual([answer.status, answer.body.code], [400, 'malformed_request'], what);
  }
}

const document = readDocument();

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: unknown;
}

test('S46 the document names every field of every answer, and none of them is a secret but a login’s tokens', (t) => {
  const schemas = Object.entries(document.components['schemas'] ?? {}) as [string, Schema][];
  const answers = schemas.filter(([name]) => !name.endsWith('Request'));
  t.true(answers.length > 10);
  const secrets = answers.flatMap(([name, schema]) =>
    objectsIn(schema).flatMap((object) => {
      if (name !== 'Readiness') t.is(object.additionalProperties, false, name);
      const fields = Object.keys(object.properties ?? {});
      const telling = fields.filter((field) =>
        /hash|pepper|secret|nonce|password|token|canonical|generation|key/i.test(field),
      );
      return telling.map((field) => `${name}.${field}`);
    }),
  );
  t.deepEqual(secrets.toSorted(), [
    'Login.access_token',
    'Login.refresh_token',
    'Login.token_type',
  ]);
});

test('S46 every answer of the whole suite is looked through for secrets', (t) => {
  const user = userAnswer({ id: 1, email: 'a@x.test', created_at: at, updated_at: at });
  const check = (body: object): void =>
    loadContract().check({
      method: 'GET',
      path: '/users/1',
      status: 200,
      headers: new Headers({ 'x-request-id': 'x', 'content-type': 'application/json' }),
      body,
    });
  t.notThrows(() => check(user));
  t.throws(() => check({ ...user, name: `$2b$12$${'x'.repeat(53)}` }), {
    message: /a password hash/,
  });
  for (const field of ['password_hash', 'passwordHash', 'refresh_nonce', 'pepper']) {
    t.throws(() => check({ ...user, [field]: 'x' }), { message: new RegExp(`the field ${field}`) });
  }
});

test('S46 nothing that is kept of passwords and tokens is in any answer to their owner', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { email, password, client } = admin;
  const again = api.admins.applicant({ email });
  const moved = context.uniqueAddress('moved');
  const { body: user } = await client.post<{ id: number }>('/users', { email: 'u@x.test' });
  const me = { email: moved, current_password: password };
  await api.client.post('/auth/password/forgot', { email });
  const token = await mintedToken(context)(email);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const fields = (entered: string) => `token=${token}&password=${encodeURIComponent(entered)}`;
  const answers: Answer[] = [
    await client.post('/auth/register', again),
    await client.raw('POST', '/auth/confirm', { body: fields(password), headers: form }),
    await client.raw('POST', '/auth/password/reset', { body: fields('short'), headers: form }),
    await client.raw('GET', `/auth/password/reset?token=${token}`),
    await client.post('/auth/login', { email, password }),
    await client.post('/auth/refresh', { refresh_token: admin.login.refresh_token }),
    await client.put('/auth/me', me),
    await client.put(`/users/${user.id}`, { name: 'U' }),
  ];
  for (const { method, path } of operationsOf(document)) {
    if (method !== 'get') continue;
    const id = path.startsWith('/auth') ? 1 : user.id;
    const target = path === '/user' ? `/user?id=${id}` : path.replace('{id}', String(id));
    answers.push(await client.raw('GET', target));
  }
  const told = answers.map(({ text }) => text).join('\n');
  t.true(told.includes(moved) && told.includes('u@x.test'), 'the answers are those of this admin');
  for (const kept of await keptOf(admin.id)) t.false(told.includes(kept), kept);
  for (const secret of [password, again.password]) t.false(told.includes(secret));
});

const at = new Date(0).toISOString();

/** Every object in a schema. */
function objectsIn(schema: Schema): Schema[] {
  const parts = [
    ...Object.values(schema.properties ?? {}),
    ...(schema.items ? [schema.items] : []),
  ];
  return [...(schema.properties ? [schema] : []), ...parts.flatMap(objectsIn)];
}

/** What the database keeps of an admin’s secrets, in the spellings in which it could get out. */
async function keptOf(adminId: number): Promise<string[]> {
  const rows = await context.rows<{ kept: string }>(
    `select password_hash as kept from admins where id = $1
      union all select unnest(array[encode(refresh_hash, 'hex'), encode(refresh_nonce, 'hex')])
        from sessions where admin_id = $1
      union all select encode(nonce, 'hex') from confirmations
      union all select password_hash from registrations where password_hash <> ''`,
    [adminId],
  );
  return rows.flatMap(({ kept }) => {
    const bytes = Buffer.from(kept, /^[0-9a-f]+$/.test(kept) ? 'hex' : 'utf8');
    return [kept, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')];
  });
}
