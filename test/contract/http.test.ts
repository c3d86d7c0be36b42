import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'ava';
import type { ApiClient, RequestOptions } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { operationsOf, readDocument } from '../helpers/openapi.js';

const context = useSharedContext('api');
const api = useApi(context);
const operations = operationsOf(readDocument());

test.serial(
  'every path refuses every method that it does not document, and says which ones it takes',
  async (t) => {
    for (const path of new Set(operations.map((each) => each.path))) {
      const known = operations
        .filter((each) => each.path === path)
        .map(({ method }) => method.toUpperCase());
      const allowed = known.includes('GET') ? [...known, 'HEAD'] : known;
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
        if (known.includes(method)) continue;
        const { status, headers } = await api.client.request(method, path.replace('{id}', '1'));
        t.is(status, 405, `${method} ${path}`);
        t.deepEqual(headers.get('allow')?.split(', ').toSorted(), allowed.toSorted(), path);
      }
      const options = await api.client.raw('OPTIONS', path.replace('{id}', '1'));
      t.deepEqual(
        [options.status, options.headers.get('allow')?.split(', ').toSorted()],
        [204, allowed.toSorted()],
      );
    }
  },
);

test.serial('OPTIONS * asks about the server, and is answered without a body', async (t) => {
  const answer = await exchange('OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  t.regex(answer, /^HTTP\/1\.1 204 No Content\r\n[^]*\r\n\r\n$/);
});

test.serial('a path that is served in other letters refuses the same methods', async (t) => {
  const served = await api.client.raw('GET', '/Health/Live');
  t.is(served.status, 200);
  const { status, headers } = await api.client.raw('DELETE', '/Health/Live');
  t.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD']);
  t.is((await api.client.raw('DELETE', '/openapiXjson')).status, 404);
});

test.serial(
  'a file of Swagger UI refuses what is not a read, and says what it takes',
  async (t) => {
    for (const file of ['swagger-ui.css', 'swagger-ui-init.js', 'favicon-16x16.png']) {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
        const { status, headers } = await api.client.raw(method, `/apidocs/${file}`);
        t.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD'], `${method} ${file}`);
      }
      const options = await api.client.raw('OPTIONS', `/apidocs/${file}`);
      t.deepEqual(
        [options.status, options.headers.get('allow'), options.text],
        [204, 'GET, HEAD', ''],
        file,
      );
      t.is((await api.client.raw('HEAD', `/apidocs/${file}`)).status, 200, file);
    }
    for (const method of ['GET', 'POST', 'OPTIONS'])
      t.is((await api.client.raw(method, '/apidocs/nothing.css')).status, 404, method);
  },
);

test.serial(
  'every path that needs a token refuses to work without one, before it looks at anything else',
  async (t) => {
    const secured = operations.filter(({ operation }) => operation.security === undefined);
    t.true(secured.length >= 10);
    for (const { method, path } of secured) {
      const { status } = await api.client.request(
        method.toUpperCase(),
        path.replace('{id}', 'nonsense'),
        {
          ...(method !== 'get' && { body: '{', headers: { 'content-type': 'application/json' } }),
        },
      );
      t.is(status, 401, `${method} ${path}`);
    }
  },
);

test.serial('a precondition counts after all else that a request is refused for', async (t) => {
  const headers = { 'if-match': '"x"' };
  const { client } = await api.admins.confirmedAdmin();
  const { body: user } = await client.post<{ id: number }>('/users', { email: 'kept@x.test' });
  const path = `/users/${user.id}`;
  const ask = async (by: ApiClient, method: string, target: string, more: RequestOptions = {}) => {
    const options = { ...more, headers: { ...headers, ...more.headers } };
    return (await by.request(method, target, options)).status;
  };
  t.is(await ask(api.client, 'DELETE', path), 401);
  t.is(await ask(client, 'DELETE', '/nowhere'), 404);
  t.is(await ask(client, 'PATCH', path), 405);
  t.is(await ask(client, 'PUT', path, { json: { name: 'x'.repeat(20_000) } }), 413);
  t.is(await ask(client, 'PUT', path, { body: '{}', headers: { 'content-type': 'a/b' } }), 415);
  t.is(await ask(client, 'PUT', path, { json: { name: 'Changed' } }), 412);
  t.is(await ask(client, 'DELETE', path), 412);
  const { body } = await client.get<{ name: null }>(path, { headers });
  t.is(body.name, null);
});

test.serial('a precondition that is true, or about dates, changes nothing', async (t) => {
  const { client } = await api.admins.confirmedAdmin();
  const { body: user } = await client.post<{ id: number }>('/users', { email: 'kept@x.test' });
  for (const headers of [
    { 'if-match': '*' },
    { 'if-none-match': '"x"' },
    { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
    { 'if-modified-since': 'Fri, 31 Dec 9999 00:00:00 GMT' },
  ]) {
    const { status } = await client.put(`/users/${user.id}`, { name: 'New' }, { headers });
    t.is(status, 200, JSON.stringify(headers));
  }
});

for (const path of [
  '/nowhere',
  '/users/1/2',
  '/.env',
  '/.git/HEAD',
  '/package.json',
  '/auth',
  '/USERS/x/y',
  '//evil.test',
  '/%2e%2e/etc/passwd',
  '/..%2f..%2fetc%2fpasswd',
  '/metrics/x',
  '/server.js',
]) {
  test.serial(`${path} is not found, as a problem document and without a redirect`, async (t) => {
    const { status, body } = await api.client.request<{ code: string }>('GET', path);
    t.deepEqual([status, body.code], [404, 'not_found']);
  });
}

test.serial('a path that cannot be decoded is refused', async (t) => {
  for (const path of ['/%', '/users/%zz', '/users/%c0%af', '/users/%ff']) {
    const { status } = await api.client.raw('GET', path);
    t.true([400, 401, 404].includes(status), `${path}: ${status}`);
  }
});

test.serial('an address over 2,048 characters is refused', async (t) => {
  const { status, body } = await api.client.request<{ code: string }>(
    'GET',
    `/users?cursor=${'x'.repeat(2_100)}`,
  );
  t.deepEqual([status, body.code], [414, 'uri_too_long']);
});

test.serial('X-Request-Id: a good one is kept, any other is replaced', async (t) => {
  const idFor = async (given: string): Promise<string> =>
    (await api.client.get('/health/live', { headers: { 'x-request-id': given } })).requestId;
  for (const good of ['12345678', 'A-Za-z_09', 'x'.repeat(64)]) t.is(await idFor(good), good);
  for (const bad of ['1234567', 'x'.repeat(65), 'with space', 'a;b=c;d=e', 'with,comma']) {
    t.regex(await idFor(bad), /^[0-9a-f-]{36}$/, bad);
  }
  t.not(
    (await api.client.get('/health/live')).requestId,
    (await api.client.get('/health/live')).requestId,
  );
});

test.serial('every answer bears the headers that keep browsers from harm', async (t) => {
  for (const path of [
    '/',
    '/health/live',
    '/nowhere',
    '/users',
    '/auth/confirm?token=x',
    '/openapi.json',
    '/apidocs/',
    '/users/%',
  ]) {
    for (const accept of ['application/json', 'text/html']) {
      const { headers } = await api.client.raw('GET', path, { headers: { accept } });
      t.is(headers.get('x-content-type-options'), 'nosniff', path);
      t.is(headers.get('referrer-policy'), 'no-referrer', path);
      t.is(headers.get('cross-origin-resource-policy'), 'same-origin', path);
      t.regex(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/, path);
      t.regex(headers.get('strict-transport-security') ?? '', /max-age=31536000/, path);
      for (const absent of [
        'x-powered-by',
        'server',
        'access-control-allow-origin',
        'set-cookie',
      ]) {
        t.is(headers.get(absent), null, `${path} ${absent}`);
      }
    }
  }
});

test.serial('other origins get no permission, asked for or not', async (t) => {
  for (const origin of ['https://evil.test', 'null']) {
    const simple = await api.client.raw('GET', '/users', { headers: { origin } });
    const preflight = await api.client.raw('OPTIONS', '/users', {
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
    for (const { headers } of [simple, preflight]) {
      t.deepEqual(
        [...headers.keys()].filter((name) => name.startsWith('access-control-')),
        [],
      );
    }
  }
});

test.serial('GET / is JSON for programs and a page for browsers', async (t) => {
  const json = await api.client.get<{ name: string; version: string; docs: string }>('/');
  t.deepEqual(Object.keys(json.body).toSorted(), ['docs', 'name', 'version']);
  t.is(json.body.docs, '/apidocs');
  const page = await api.client.get<string>('/', {
    headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' },
  });
  t.regex(page.headers.get('content-type') ?? '', /^text\/html/);
  t.true(page.body.includes('href="/apidocs"'));
  t.is(page.headers.get('vary'), 'Accept');
});

test.serial('HEAD is GET without a body', async (t) => {
  for (const path of ['/', '/health/live', '/openapi.json']) {
    const [head, get] = [await api.client.request('HEAD', path), await api.client.get(path)];
    t.deepEqual([head.status, head.text], [get.status, '']);
    t.is(head.headers.get('content-type'), get.headers.get('content-type'));
  }
});

test.serial('GET /health/live and /health/ready tell that all is well', async (t) => {
  t.deepEqual((await api.client.get('/health/live')).body, { status: 'alive' });
  const { body } = await eventually(async () => {
    const answer = await api.client.get<{
      status: string;
      checks: Record<string, { ok: boolean }>;
    }>('/health/ready');
    return answer.status === 200 && answer;
  });
  t.is(body.status, 'ready');
  for (const name of ['postgres', 'redis', 'migrations', 'outbox'])
    t.true(body.checks[name]?.ok, name);
});

test.serial(
  'GET /apidocs shows the document by scripts of its own alone; GET /openapi.json is the document',
  async (t) => {
    t.deepEqual((await api.client.get('/openapi.json')).body, readDocument());
    const page = await api.client.get<string>('/apidocs');
    t.is(page.status, 200);
    const { body, headers } = await api.client.raw('GET', '/apidocs/');
    t.regex(headers.get('content-security-policy') ?? '', /script-src 'self';/);
    const scripts = [...String(body).matchAll(/<script[^>]*>/g)].map(([tag]) => tag);
    t.true(scripts.length > 0);
    t.regex(String(body), /\.servers > label::before \{ content: '' \/ 'Server' \}/);
    for (const script of scripts) {
      const [, source = ''] = /src="([^"]+)"/.exec(script) ?? [];
      t.regex(source, /^\.?\/?[\w.-]+$/, script);
      t.is(
        (await api.client.raw('GET', `/apidocs/${source.replace(/^\.?\//, '')}`)).status,
        200,
        source,
      );
    }
  },
);

test.serial('an absolute target is served as its path, an empty one as /', async (t) => {
  for (const [target, status] of [
    ['http://x', 200],
    ['http://x?a', 200],
    ['HTTP://x:80/', 200],
    ['http://x/health/live', 200],
    ['http://x/health/live?a=/', 200],
    ['http://x?/health/live', 200],
    ['http://x/nowhere', 404],
  ] as const) {
    const answer = await exchange(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    t.is(Number(answer.slice(9, 12)), status, target);
  }
});

test.serial('a target with a fragment is refused, wherever it leads', async (t) => {
  for (const target of [
    '/#',
    '/#x',
    '/health/live#x',
    '/health/live?#x',
    '/users?limit=1#x',
    '/users#x',
    '/users/2#x',
    '/nowhere#x',
    '/#?x',
    'http://x#a',
    'http://x/health/live#x',
  ]) {
    const answer = await exchange(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    t.is(Number(answer.slice(9, 12)), 400, target);
  }
  t.is((await api.client.raw('GET', '/health/live?a=%23x')).status, 200, 'an encoded # is none');
});

test.serial('more than 100 header fields are refused, by a detail that says so', async (t) => {
  const answerTo = async (fields: number): Promise<string> =>
    exchange(
      `GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${'X: y\r\n'.repeat(fields - 2)}\r\n`,
    );
  t.is(Number((await answerTo(100)).slice(9, 12)), 200);
  const refusal = await answerTo(101);
  t.is(Number(refusal.slice(9, 12)), 431);
  t.true(refusal.includes('"detail":"Send at most 100 header fields."'), refusal);
});

for (const [what, request, status] of [
  [
    'two Authorization headers',
    'GET /auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nAuthorization: Bearer a.b.c\r\nConnection: close\r\n\r\n',
    400,
  ],
  [
    'two Host headers',
    'GET / HTTP/1.1\r\nHost: x\r\nHost: evil.test\r\nConnection: close\r\n\r\n',
    400,
  ],
  ['no Host header', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
  ['a broken request line', 'NONSENSE\r\n\r\n', 400],
  [
    'both lengths',
    'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n',
    400,
  ],
  ['a bare carriage return', 'GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n', 400],
  ['headers of 20 KB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
] as const) {
  test.serial(
    `a request with ${what} is answered by ${status}, as a problem document`,
    async (t) => {
      const answer = await exchange(request);
      t.regex(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer.slice(0, 100));
      t.regex(answer, /\r\nContent-Type: application\/problem\+json\r\n/i);
      t.regex(answer, /\r\nX-Request-Id: \S+\r\n/i);
      t.notRegex(answer, /node|express|at \S+ \(|HPE_/i);
    },
  );
}

async function exchange(request: string): Promise<string> {
  const { hostname, port } = new URL(api.server.url);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  // Half of these are refused before they are sent whole.
  socket.on('error', () => undefined);
  socket.write(request);
  return text(socket);
}
