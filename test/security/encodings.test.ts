import test, { type ExecutionContext } from 'ava';
import { gzipSync } from 'node:zlib';
import { mintedToken } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import type { Problem } from '../helpers/problem.js';
import { exchange } from '../helpers/raw-http.js';

const context = useContext();
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
