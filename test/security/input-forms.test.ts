import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { mintedToken, type TestAdmin } from '../helpers/admins.js';
import type { Answer } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { operationsOf, readDocument, type DocumentedOperation } from '../helpers/openapi.js';
import { handedOver } from '../helpers/outbox.js';
import type { Problem } from '../helpers/problem.js';
import { exchange } from '../helpers/raw-http.js';
import { fingerprint } from '../helpers/schema.js';

const context = useSharedContext('api');
const api = useApi(context);

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const BYTE_ORDER_MARK = '\ufeff';
const credentials = JSON.stringify({
  email: 'nobody@x.test',
  password: 'a password that is long enough',
});

const logIn = (contentType: string, body: string | Uint8Array = credentials) =>
  api.client.request<Problem>('POST', '/auth/login', {
    body,
    headers: { 'content-type': contentType },
  });

test('S53 a byte order mark before JSON is ignored, one of them and only there (field: Badgerati/Pode)', async (t) => {
  t.is((await logIn('application/json', BYTE_ORDER_MARK + credentials)).status, 401);
  for (const body of [
    BYTE_ORDER_MARK.repeat(2) + credentials,
    credentials + BYTE_ORDER_MARK,
    `{${BYTE_ORDER_MARK}${credentials.slice(1)}`,
    BYTE_ORDER_MARK,
    Buffer.from(BYTE_ORDER_MARK + credentials, 'utf16le'),
  ])
    t.is((await logIn('application/json', body)).status, 400);
  const twice = `${BYTE_ORDER_MARK}{"email":"a@x.test","email":"b@x.test","password":"x"}`;
  t.is((await logIn('application/json', twice)).status, 400, 'no name twice behind it either');
});

test('S54 JSON in UTF-8 is taken, however its type is written (field: n8n, expressjs/body-parser)', async (t) => {
  for (const type of [
    'application/json; charset=utf8',
    'application/json; charset=utf-8;',
    'application/json; Charset="UTF-8"',
    'application/json;charset=UTF8',
    'application/json ; charset=utf-8 ; ',
    'application/json;',
    'application/json; charset=',
    'application/json; version=1; charset=utf-8',
    'application/json; odata.metadata=minimal',
    'application/json; profile="https://x.test/;charset=latin1"',
  ])
    t.is((await logIn(type)).status, 401, type);
});

test('S54 another charset is named as what is at fault (field: n8n)', async (t) => {
  for (const charset of ['iso-8859-1', 'latin1', 'utf-16', 'utf-16le', 'utf-7', 'windows-1252']) {
    for (const type of [
      `application/json; charset=${charset}`,
      `application/json;CHARSET="${charset}"`,
    ]) {
      const { status, body } = await logIn(type);
      t.deepEqual([status, body.code], [415, 'unsupported_media_type'], type);
      t.is(
        body.detail,
        `The charset \`${charset}\` is not supported: send the body in UTF-8.`,
        type,
      );
    }
  }
  const { body: odd } = await logIn(`application/json; charset="${'<script>'.repeat(9)}"`);
  t.is(odd.detail, 'The charset given is not supported: send the body in UTF-8.');
  const two = await logIn('application/json; charset=utf-8; charset=latin1');
  t.is(two.status, 415, 'two readers would take one each');
  const form = await api.client.request<Problem>('POST', '/auth/confirm', {
    body: 'token=x',
    headers: { 'content-type': `${FORM['content-type']}; charset=iso-8859-1` },
  });
  t.is(form.status, 415);
  t.regex(form.text, /charset|UTF-8/);
});

test('S54 what is not JSON, or compressed, is told as that', async (t) => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json x', ''])
    t.is((await logIn(type)).body.detail, 'Send `Content-Type: application/json`.', type);
  // Parsing its blanks would stop everybody for a quarter of a second.
  const long = `application/json; a=${'x'.repeat(300)}`;
  t.is((await logIn(long)).body.detail, 'Send `Content-Type: application/json`.');
  const { status, body, headers } = await api.client.request<Problem>('POST', '/auth/login', {
    body: gzipSync(credentials),
    headers: { 'content-type': 'application/json; charset=utf-8', 'content-encoding': 'gzip' },
  });
  t.is(status, 415);
  t.is(body.detail, 'The content coding `gzip` is not supported: send the body uncompressed.');
  t.is(headers.get('accept-encoding'), 'identity', 'RFC 9110, 12.5.3');
});

test('S53 a form that is not UTF-8 sets no password and no name (field: expressjs/body-parser, whatwg/url)', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  await api.client.post('/auth/password/forgot', { email: admin.email });
  const token = await mintedToken(context)(admin.email);
  const reset = (password: string | Uint8Array) =>
    api.client.request('POST', '/auth/password/reset', {
      body: Buffer.concat([Buffer.from(`token=${token}&password=`), Buffer.from(password)]),
      headers: FORM,
    });
  for (const password of [
    'caf%E9-kettle-orchid-93-fern',
    'caf%e9%20kettle+orchid+93+fern',
    Buffer.from('café-kettle-orchid-93-fern', 'latin1'),
    'kettle-orchid-93-fern-%C3',
    'kettle-orchid-93-fern-%C0%AF',
    'kettle-orchid-93-fern-%ED%A0%80',
    'kettle-orchid-93-fern&x%FF=1',
  ])
    t.is((await reset(password)).status, 400, String(password));
  await api.admins.logIn(admin);
  t.is((await reset('caf%C3%A9-kettle+orchid-93-fern-100%')).status, 200, 'the link still works');
  await api.admins.logIn({ ...admin, password: 'café-kettle orchid-93-fern-100%' });
});

test('S53 a query that is not UTF-8 is refused, whatever it is about', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  await refusedQueries(t, [
    ['/auth/confirm?token=%E9'],
    ['/auth/password/reset?token=%ff'],
    ['/users?q=%FF', admin.login.access_token],
    ['/users?q=caf%C3', admin.login.access_token],
    ['/users?%E9=1', admin.login.access_token],
    [`/users?q=${Buffer.from('é').toString('latin1')}`, admin.login.access_token],
    ['/?x=%C0%AF'],
  ]);
  for (const query of ['q=caf%C3%A9', 'q=100%25', 'q=%F0%9F%91%A9', 'q=a+b', 'q='])
    t.not((await admin.client.get(`/users?${query}`)).status, 400, query);
});

async function refusedQueries(
  t: ExecutionContext,
  queries: readonly (readonly [path: string, token?: string])[],
): Promise<void> {
  for (const [path, token] of queries) {
    const lines = [
      `GET ${path} HTTP/1.1`,
      'Host: x',
      'Connection: close',
      ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ];
    const request = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    const { status, body } = await exchange(api.server.url, request);
    t.is(status, 400, path);
    t.is((JSON.parse(body) as Problem).code, 'malformed_request', path);
  }
}

let owner: TestAdmin;
/** The admin’s own, so that whatever is read as this id finds a row. */
let ids: Readonly<Record<string, number>>;
test.serial.before('make a user and a session', async () => {
  owner = await api.admins.confirmedAdmin();
  const { body: user } = await owner.client.post<{ id: number }>('/users', { email: 'a@x.test' });
  const { body: sessions } = await owner.client.get<{ id: number }[]>('/auth/sessions');
  const session = sessions[0]?.id ?? 0;
  ids = { '/users/{id}': user.id, '/user': user.id, '/auth/sessions/{id}': session };
});

/** Spellings of an id that are not the id, though one reader or another would take them for it. */
const spellingsOf = (id: number): string[] => [
  `${id}.0`,
  `${id}e0`,
  `0${id}`,
  `+${id}`,
  `-${id}`,
  `0x${id.toString(16)}`,
  `${id}n`,
  `${id}_0`,
  `${id},${id}`,
  `${id};`,
  `${id}'`,
  `[${id}]`,
  `{"$gt":0}`,
  ` ${id}`,
  `${id} `,
  `${id}\n`,
  `\t${id}`,
  `\0${id}`,
  `${id}\0`,
  `\u200b${id}`,
  `${id}\u202e`,
  fullWidth(id),
  arabic(id),
  '0',
  '-1',
  '-0',
  '1e3',
  '2147483648',
  '4294967297',
  '9223372036854775808',
  `1${'0'.repeat(400)}`,
  'NaN',
  'Infinity',
  'true',
  'null',
  'undefined',
  'id',
  '*',
];

for (const { method, path, operation } of operationsOf(readDocument())) {
  const isInQuery = (operation.parameters ?? []).some(({ $ref }) => $ref?.endsWith('IdInQuery'));
  if (!path.includes('{id}') && !isInQuery) continue;
  test.serial(`S47 ${method} ${path} knows one spelling of an id`, async (t) => {
    const id = ids[path];
    if (id === undefined) throw new Error(`say which id ${path} means`);
    const json = operation.requestBody ? { json: { name: 'Changed' } } : {};
    await handedOver(context);
    const before = await fingerprint(context);
    const targets = spellingsOf(id).map((spelling) => {
      const written = encodeURIComponent(spelling);
      return isInQuery ? `${path}?id=${written}` : path.replace('{id}', written);
    });
    const queries = [
      '',
      'id=',
      'id',
      `id=${id}&id=${id}`,
      `id=${id}&id=`,
      `id[]=${id}`,
      `id[0]=${id}`,
      'id[$gt]=0',
      'id[gt]=0',
      `ID=${id}`,
      `id=${id}&admin_id=1`,
      `id=${id}&__proto__=1`,
    ];
    if (isInQuery) targets.push(...queries.map((query) => `${path}?${query}`));
    for (const target of targets) {
      const { status, body } = await owner.client.request<{ code: string }>(
        method.toUpperCase(),
        target,
        json,
      );
      t.deepEqual([status, body.code], [422, 'validation_failed'], target);
    }
    for (const broken of ['%', '%E0%A4%A', '%zz', '%C0%B1']) {
      const target = isInQuery ? `${path}?id=${broken}` : path.replace('{id}', broken);
      const { status } = await owner.client.request(method.toUpperCase(), target, json);
      t.true(status === 400 || status === 422, `${target}: ${status}`);
    }
    t.is(await fingerprint(context), before);
  });
}

const fullWidth = (id: number): string => shifted(id, 0xff10);
const arabic = (id: number): string => shifted(id, 0x0660);

/** The number in other digits, from this zero on. */
function shifted(id: number, zero: number): string {
  return [...String(id)].map((digit) => String.fromCodePoint(zero + Number(digit))).join('');
}

/** What a client may not set, whatever the request. */
const FORBIDDEN: Readonly<Record<string, unknown>> = {
  id: 1,
  admin_id: 1,
  adminId: 1,
  role: 'operator',
  is_operator: true,
  operator_since: '2020-01-01T00:00:00Z',
  operatorSince: '2020-01-01T00:00:00Z',
  confirmed_at: '2020-01-01T00:00:00Z',
  confirmedAt: '2020-01-01T00:00:00Z',
  email_confirmed: true,
  email_canonical: 'a@x.test',
  pending_email: 'a@x.test',
  password_hash: 'v1$p1$$2b$04$',
  passwordHash: 'v1$p1$$2b$04$',
  created_at: '2020-01-01T00:00:00Z',
  updated_at: '2020-01-01T00:00:00Z',
  token_version: 0,
  constructor: { prototype: { role: 'operator' } },
  toString: 'operator',
};

const operations = operationsOf(readDocument()).filter(({ operation }) => operation.requestBody);

for (const given of operations) {
  const { method, path } = given;
  test.serial(`S45 ${method} ${path} takes no field that is not a client’s to set`, async (t) => {
    const admin = await api.admins.confirmedAdmin();
    const { target, body } = await goodRequest(given, admin);
    const send = (json: string): Promise<Answer> =>
      admin.client.request(method.toUpperCase(), target, {
        body: json,
        headers: { 'content-type': 'application/json' },
      });
    await handedOver(context);
    const before = await fingerprint(context);
    for (const [field, value] of Object.entries(FORBIDDEN)) {
      const { status, body: problem } = await send(JSON.stringify({ ...body, [field]: value }));
      t.is(status, 422, field);
      t.deepEqual(
        (problem as Problem).errors?.map(({ pointer }) => pointer),
        [`#/${field}`],
      );
    }
    const rest = JSON.stringify(body).slice(1);
    t.is((await send(`{"__proto__":{"role":"operator"},${rest}`)).status, 422);
    t.is(await fingerprint(context), before);
    t.is((await admin.client.get<{ role: string }>('/auth/me')).body.role, 'admin');

    const { status } = await send(JSON.stringify(body));
    t.true(status < 300, `nothing else was wrong with the request: ${status}`);
  });
}

test.serial('S45 a form takes no such field either', async (t) => {
  const { email, password } = await api.admins.registerAdmin();
  const token = await mintedToken(context)(email);
  const good = `token=${token}&password=${encodeURIComponent(password)}`;
  await handedOver(context);
  const before = await fingerprint(context);
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  for (const extra of ['role=operator', 'id=1', '__proto__[role]=operator', 'a[b]=c']) {
    const body = `${good}&${extra}`;
    const { status } = await api.client.raw('POST', '/auth/confirm', { body, headers });
    t.is(status, 422, extra);
  }
  t.is(await fingerprint(context), before);
  const confirmed = await api.client.raw('POST', '/auth/confirm', { body: good, headers });
  t.is(confirmed.status, 200);
});

/** A request that would succeed. */
async function goodRequest(
  { path, operation }: DocumentedOperation,
  admin: TestAdmin,
): Promise<{ target: string; body: object }> {
  const { client, email, password } = admin;
  const { body: user } = await client.post<{ id: number }>('/users', { email: 'u@x.test' });
  const pending = await api.admins.registerAdmin();
  const bodies: Readonly<Record<string, () => object | Promise<object>>> = {
    RegisterRequest: () => api.admins.applicant(),
    ResendRequest: () => ({ email: pending.email }),
    ConfirmRequest: async () => ({
      token: await mintedToken(context)(pending.email),
      password: pending.password,
    }),
    LoginRequest: () => ({ email, password }),
    RefreshRequest: () => ({ refresh_token: admin.login.refresh_token }),
    ForgotPasswordRequest: () => ({ email }),
    ResetPasswordRequest: async () => {
      await client.post('/auth/password/forgot', { email });
      return { token: await mintedToken(context)(email), password: `another ${password}` };
    },
    UpdateMeRequest: () => ({ name: `${admin.name} II` }),
    DeleteMeRequest: () => ({ current_password: password }),
    CreateUserRequest: () => ({ email: 'another@x.test' }),
    UpdateUserRequest: () => ({ active: false }),
  };
  const { $ref = '' } = operation.requestBody?.content['application/json']?.schema ?? {};
  const body = await bodies[$ref.split('/').at(-1) ?? '']?.();
  if (!body) throw new Error(`say what a good body for ${path} is`);
  const isOneByQuery = path === '/user' && $ref.endsWith('UpdateUserRequest');
  const target = isOneByQuery ? `/user?id=${user.id}` : path.replace('{id}', String(user.id));
  return { target, body };
}
