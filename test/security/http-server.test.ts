import { readdir, readlink } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { basename } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createHttpServer } from '../../api/http/server.js';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { createClient } from '../helpers/api-client.js';
import { useSharedContext } from '../helpers/context.js';
import { productionEnvironment } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { startApi, type LogLine } from '../helpers/processes.js';
import { runApi } from '../helpers/servers.js';
import { exchange, openConnection, readAnswer, type RawAnswer } from '../helpers/raw-http.js';
import { openOwnServer } from './own-server.js';

const context = useSharedContext('api');
const api = useApi(context);

let admin: TestAdmin;
test.serial.before('log in', async () => {
  admin = await api.admins.confirmedAdmin();
});

/** Requests that go wrong in every way that needs no outage, and the status that each deserves. */
const wrongRequests: readonly (readonly [request: string, statuses: readonly number[]])[] = [
  ['GET /user/% HTTP/1.1', [400, 404]],
  ['GET /users/%E0%A4%A HTTP/1.1', [400, 401]],
  ['GET /users?limit=% HTTP/1.1', [401]],
  ['GET /nowhere HTTP/1.1', [404]],
  ['GET /.env HTTP/1.1', [404]],
  ['DELETE /health/live HTTP/1.1', [405]],
  ['TRACE /users HTTP/1.1', [405]],
  ['TRACE /nowhere HTTP/1.1', [404]],
  ['CONNECT evil.test:443 HTTP/1.1', [405]],
  ['GET * HTTP/1.1', [404]],
  ['NONSENSE / HTTP/1.1', [400]],
  ['GET / HTTP/9.9', [400]],
  [`GET /${'x'.repeat(2_100)} HTTP/1.1`, [414]],
  [`GET / HTTP/1.1\r\nX: ${'x'.repeat(9_000)}`, [431]],
  [`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(100)}X: y`, [431]],
  ['POST /auth/login HTTP/1.1\r\nContent-Length: 99999', [413, 415]],
  ['POST /auth/login HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 0', [415]],
  [
    'POST /auth/login HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{',
    [400],
  ],
  ['GET /health/live HTTP/1.1\r\nExpect: the-unexpected', [200]],
];

/** What tells about the inside: stacks, drivers, libraries, folders. */
const INSIDES =
  /node_modules|\bat .+\(|sequelize|postgres|SELECT |ECONN|HPE_|\/dist\/|express|SyntaxError|Unexpected token/i;

for (const environment of ['test', 'production'] as const) {
  test(`S56 no error tells about the inside, with NODE_ENV=${environment}`, async (t) => {
    const { url } =
      environment === 'test'
        ? api.server
        : await startApi(context, { scope: t, env: productionEnvironment() });
    for (const [request, statuses] of wrongRequests) {
      const { status, headers, body } = await ask(url, request);
      t.true(statuses.includes(status), `${request.slice(0, 60)}: ${status}`);
      t.notRegex(body, INSIDES, request.slice(0, 60));
      if (status >= 400)
        t.is(headers.get('content-type'), 'application/problem+json', request.slice(0, 60));
      for (const header of ['server', 'x-powered-by']) t.false(headers.has(header));
    }
  });
}

test('S57 methods that are not documented do nothing, and no header changes a method', async (t) => {
  const { url } = api.server;
  for (const method of ['TRACE', 'CONNECT', 'PUT', 'PROPFIND']) {
    const target = method === 'CONNECT' ? 'x.test:80' : '/auth/login';
    const { status, headers } = await ask(url, `${method} ${target} HTTP/1.1`);
    t.is(status, 405, method);
    t.is(headers.get('allow'), method === 'CONNECT' ? '' : 'POST');
  }
  const options = await api.client.raw('OPTIONS', '/users/1');
  t.deepEqual([options.status, options.headers.get('allow')], [204, 'GET, PUT, DELETE, HEAD']);

  const { body } = await admin.client.post<{ id: number }>('/users', { email: 'stays@x.test' });
  for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
    const { status } = await admin.client.request('GET', `/users/${body.id}`, {
      headers: { [name]: 'DELETE' },
    });
    t.is(status, 200);
  }
  t.is((await admin.client.get(`/users/${body.id}?_method=DELETE`)).status, 422);
  t.is((await admin.client.get(`/users/${body.id}`)).status, 200);
  const head = await admin.client.request('HEAD', `/users/${body.id}`);
  t.deepEqual([head.status, head.text], [200, '']);
});

const smuggled = 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n';
const ambiguous: Readonly<Record<string, string>> = {
  'both lengths': `POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'two lengths': `POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'a length that is a list': `POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n${smuggled}`,
  'a length with a sign': `POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n${smuggled}`,
  'an unknown transfer coding': `POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n${smuggled}`,
  'a transfer coding in HTTP/1.0': `POST /auth/login HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'a chunk size with an extension of its own': `POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${smuggled}`,
  'bare line feeds': `GET / HTTP/1.1\nHost: x\nX: y\n\n${smuggled}`,
  'a space before the colon': `GET / HTTP/1.1\r\nHost : x\r\n\r\n${smuggled}`,
  'a folded header': `GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n${smuggled}`,
  'a NUL in a header': `GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n${smuggled}`,
  'a bare carriage return': `GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n${smuggled}`,
};

test('S58 a request with two readings gets one answer, 400, and nothing behind it is served', async (t) => {
  for (const [what, request] of Object.entries(ambiguous)) {
    const { status, headers, text } = await exchange(api.server.url, request);
    t.is(status, 400, what);
    t.is(headers.get('connection'), 'close', what);
    t.is(text.match(/HTTP\/1\.1 \d{3} /g)?.length, 1, what);
  }
});

test('S58 a header that only one reader would see is refused', async (t) => {
  for (const headers of [
    'Host: x\r\nHost: evil.test',
    'Host: x\r\nhost: x',
    'X: no host',
    'Host: x\r\nAuthorization: Bearer a.b.c\r\nAuthorization: Bearer d.e.f',
    'Host: x\r\nContent-Type: application/json\r\nContent-Type: text/plain',
    'Host: x, y',
    'Host: x\r\nTransfer-Encoding: gzip, chunked',
    'Host: x\r\nTransfer-Encoding: GZip\r\nTransfer-Encoding: chunked',
    'Host: x\r\nTransfer-Encoding: identity, chunked',
    'Host: x\r\nTransfer-Encoding: chunked, chunked',
  ])
    for (const rest of headers.includes('Transfer-')
      ? ['\r\n0\r\n\r\n', '\r\n2\r\n{}\r\n0\r\n\r\n']
      : ['\r\n', '\r\n{}', 'Content-Length: 2\r\n\r\n{}'])
      await isRefusedAlone(t, `PUT /auth/me HTTP/1.1\r\n${headers}\r\n${rest}`);
});

/** What follows on the connection is neither answered nor carried out. */
async function isRefusedAlone(t: ExecutionContext, request: string): Promise<void> {
  const { body: user } = await admin.client.post<{ id: number }>('/users', {
    email: context.uniqueAddress(),
  });
  const path = `/users/${user.id}`;
  const behind = `DELETE ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${admin.login.access_token}\r\n\r\n`;
  const { status, headers, text } = await exchange(api.server.url, `${request}${behind}`);
  t.is(status, 400, request);
  t.is(headers.get('connection'), 'close', request);
  t.true(text.includes('"malformed_request"'));
  t.is(text.match(/HTTP\/1\.1 \d{3} /g)?.length, 1, request);
  // A change takes longer than a read.
  await admin.client.put(path, { name: 'Still here' });
  t.is((await admin.client.get(path)).status, 200, request);
}

test('S58 a Host header that names no host is refused; every one that does is served', async (t) => {
  for (const [status, hosts] of Object.entries({
    200: [
      '',
      'x',
      'x:',
      'x:0',
      'x:65535',
      'a_b.example',
      '%41',
      '127.0.0.1:80',
      '[::1]',
      '[::ffff:1.2.3.4]:80',
    ],
    400: [
      'a b',
      'a/b',
      'a@b',
      'a?b',
      'a#b',
      'a\\b',
      'a"b',
      '[::1',
      '::1',
      '[x]',
      '[fe80::1%25eth0]',
      '[::1]x',
      'http://x',
      '%zz',
      '%4',
      'é',
      'a:b',
      'a:65536',
      'a:99999',
      'a:-1',
      'a:1:2',
    ],
  }))
    for (const host of hosts) {
      const request = `GET /health/live HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      t.is((await exchange(api.server.url, request)).status, Number(status), host);
    }
});

test('S59 slow clients are cut off, whether they send too slowly or nothing at all', async (t) => {
  const { url } = await openOwnServer(t, context, {
    headersTimeoutMs: 1_000,
    requestTimeoutMs: 1_500,
    checkIntervalMs: 100,
  });
  const drips: NodeJS.Timeout[] = [];
  const drip = (socket: Socket, text: string): void => {
    drips.push(setInterval(() => socket.writable && socket.write(text), 100));
  };
  const [headers, body, silent] = await Promise.all(
    Array.from({ length: 3 }, () => openConnection(url)),
  );
  t.teardown(() => drips.forEach(clearInterval));
  if (!headers || !body || !silent) throw new Error('three were opened');
  headers.write('GET / HTTP/1.1\r\nHost: x\r\n');
  drip(headers, 'X: y\r\n');
  body.write(
    'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{',
  );
  drip(body, ' ');
  const answers = await Promise.all([headers, body, silent].map(readAnswer));
  for (const answer of answers) {
    t.is(answer.status, 408);
    t.is(answer.headers.get('content-type'), 'application/problem+json');
    t.true(answer.body.includes('"request_timeout"'));
  }
  await eventually(() => [headers, body, silent].every((socket) => socket.destroyed));
});

test('S59 slow means ten seconds for headers, fifteen for all, twenty without taking a byte', (t) => {
  const server = createHttpServer({ onRequest: () => undefined }, createRecordingLogger().log, {});
  for (const [limit, value] of Object.entries({
    headersTimeout: 10_000,
    requestTimeout: 15_000,
    timeout: 20_000,
    // An AWS load balancer keeps an idle connection for 60 seconds.
    keepAliveTimeout: 65_000,
    // How often Node looks for those that are too slow: twice a minute, were it not told.
    connectionsCheckingInterval: 1_000,
    maxConnections: 10_000,
    maxHeaderSize: 8_192,
  }))
    t.is(Reflect.get(server, limit), value, limit);
});

test('S59 a client that asks and asks, and reads no answer, is cut off', async (t) => {
  const requestId = 'asks-and-never-reads';
  const { url, lines } = await openOwnServer(t, context, { stallTimeoutMs: 1_000 });
  const socket = await openConnection(url);
  t.teardown(() => socket.destroy());
  socket.pause();
  // More than the buffers of both systems take.
  socket.write(
    `GET /openapi.json HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${requestId}\r\n\r\n`.repeat(300),
  );
  const isCutOff = (line: LogLine): boolean =>
    line['http.request.id'] === requestId && line['msg'] === 'request aborted';
  await t.notThrowsAsync(eventually(() => lines.some(isCutOff)));
});

test('S59 a client that leaves, whatever it has asked for, keeps no file open', async (t) => {
  const { url } = await openOwnServer(t, context);
  const file = '/apidocs/swagger-ui-bundle.js';
  for (let round = 0; round < 5; round += 1) {
    const socket = await openConnection(url);
    socket.pause();
    socket.write(`GET ${file} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(100));
    await eventually(async () => (await openFiles(file)) > 0, { of: 'the file' });
    socket.destroy();
  }
  await t.notThrowsAsync(eventually(async () => (await openFiles(file)) === 0));
});

/** How many times this process has a file of that name open (`man 5 proc`). */
async function openFiles(name: string): Promise<number> {
  const all = await readdir('/proc/self/fd');
  // One may be closed meanwhile.
  const targets = await Promise.all(
    all.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return targets.filter((target) => target.endsWith(basename(name))).length;
}

test('S59 hundreds of idle connections keep nobody from an answer', async (t) => {
  const idle = await Promise.all(Array.from({ length: 500 }, () => openConnection(api.server.url)));
  t.teardown(() => idle.forEach((socket) => socket.destroy()));
  t.is((await api.client.get('/health/live')).status, 200);
  t.is((await admin.client.get('/users')).status, 200);
});

const expectedHeaders: Readonly<Record<string, RegExp>> = {
  'cache-control': /^no-store$/,
  'content-security-policy': /^default-src 'none'; .*frame-ancestors 'none'$/,
  'cross-origin-resource-policy': /^same-origin$/,
  'referrer-policy': /^no-referrer$/,
  'strict-transport-security': /^max-age=31536000; includeSubDomains$/,
  'x-content-type-options': /^nosniff$/,
  'x-frame-options': /^DENY$/,
  'x-request-id': /^[\w-]{8,64}$/,
};

test('S60 every answer bears the headers that keep browsers from harm, those of the parser too', async (t) => {
  const requests = [
    ...wrongRequests.map(([request]) => request),
    'GET / HTTP/1.1',
    'GET / HTTP/1.1\r\nAccept: text/html',
    'GET /users HTTP/1.1',
    'GET /health/ready HTTP/1.1',
    'GET /openapi.json HTTP/1.1',
    'GET /apidocs HTTP/1.1',
    'GET /apidocs/ HTTP/1.1',
    'GET /apidocs/swagger-ui.css HTTP/1.1',
    'GET /apidocs/swagger-ui-init.js HTTP/1.1',
    'GET /apidocs/nothing.js HTTP/1.1',
    'GET /auth/confirm?token=x HTTP/1.1',
    'GET /auth/password/reset HTTP/1.1',
    'OPTIONS /users HTTP/1.1',
    'HEAD / HTTP/1.1',
  ];
  for (const request of requests) {
    const { headers } = await ask(api.server.url, request);
    for (const [name, pattern] of Object.entries(expectedHeaders)) {
      t.regex(headers.get(name) ?? '', pattern, `${request.slice(0, 60)} ${name}`);
    }
    for (const name of ['server', 'x-powered-by', 'set-cookie']) {
      t.false(headers.has(name), `${request.slice(0, 60)} ${name}`);
    }
  }
});

test('S60 without HTTPS nothing is said about it, and tokens have no ETag', async (t) => {
  const plain = await runApi(context, { scope: t, env: { PUBLIC_URL: 'http://localhost:1' } });
  const { headers } = await createClient(plain.url).get('/');
  t.is(headers.get('strict-transport-security'), null);
  const login = await api.client.post('/auth/login', {
    email: admin.email,
    password: admin.password,
  });
  t.deepEqual([login.status, login.headers.get('etag')], [200, null]);
});

test('S61 no other origin is ever given leave', async (t) => {
  for (const origin of [
    'https://evil.test',
    'null',
    'https://rollcall.example.evil.test',
    'https://rollcall.example',
  ]) {
    for (const [method, path, status] of [
      ['GET', '/users', 200],
      ['GET', '/nowhere', 404],
      ['OPTIONS', '/users', 204],
    ] as const) {
      const answer = await admin.client.raw(method, path, {
        headers: {
          origin,
          ...(method === 'OPTIONS' && {
            'access-control-request-method': 'POST',
            'access-control-request-headers': 'authorization,content-type',
            'access-control-request-private-network': 'true',
          }),
        },
      });
      t.is(answer.status, status);
      t.deepEqual(
        [...answer.headers.keys()].filter((name) => name.startsWith('access-control-')),
        [],
      );
    }
  }
});

/** Sends a request line and headers of its own, whole and on a connection that ends with the answer. */
function ask(url: string, request: string): Promise<RawAnswer> {
  const [line = '', ...rest] = request.split('\r\n');
  return exchange(
    url,
    [line, 'Host: x', 'Connection: close', ...rest].join('\r\n') +
      (rest.includes('') ? '' : '\r\n\r\n'),
  );
}
