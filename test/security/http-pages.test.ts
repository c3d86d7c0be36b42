import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import express from 'express';
import { problemHandler } from '../../api/http/problem.js';
import { openContext } from '../../api/http/request-context.js';
import { createClient, type Answer, type ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { createRecordingLogger } from '../helpers/log.js';
import { operationsOf, readDocument } from '../helpers/openapi.js';
import type { Problem } from '../helpers/problem.js';
import { startApi } from '../helpers/processes.js';
import { exchange } from '../helpers/raw-http.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';

const context = useContext();
const api = useApi(context);

const FOREIGN = [
  '?url=//evil.test/x.json',
  '?url=https://evil.test/x.json',
  '?configUrl=https://evil.test/c.json',
  '?urls.primaryName=evil',
  '?oauth2RedirectUrl=https://evil.test/',
];

test('S62 Swagger UI runs scripts of its own alone, and its policy lets through no other', async (t) => {
  for (const path of ['/apidocs', '/apidocs/']) {
    const { status, headers, text } = await api.client.raw('GET', path);
    t.is(status, 200);
    const policy = headers.get('content-security-policy') ?? '';
    for (const directive of [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      "base-uri 'none'",
    ]) {
      t.true(policy.split('; ').includes(directive), directive);
    }
    const scripts = [...text.matchAll(/<script([^>]*)>([^<]*)/g)];
    t.is(scripts.length, 3);
    for (const [, attributes = '', inline = ''] of scripts) {
      t.is(inline.trim(), '');
      const source = /^ src="([^"]+)"$/.exec(attributes)?.[1] ?? '';
      const { pathname, origin } = new URL(source, `${api.client.baseUrl}${path}`);
      t.is(origin, api.client.baseUrl);
      t.is((await api.client.raw('GET', pathname)).status, 200, source);
    }
    t.notRegex(text, /\son\w+=|javascript:|(?:src|href)="(?:https?:)?\/\//i);
  }
});

test('S62 no parameter of its address makes Swagger UI load another document', async (t) => {
  const page = await api.client.raw('GET', '/apidocs/');
  const script = await api.client.raw('GET', '/apidocs/swagger-ui-init.js');
  for (const query of FOREIGN) {
    t.is((await api.client.raw('GET', `/apidocs/${query}`)).text, page.text, query);
    t.is(
      (await api.client.raw('GET', `/apidocs/swagger-ui-init.js${query}`)).text,
      script.text,
      query,
    );
  }
  t.regex(script.text, /"swaggerDoc": \{/, 'the document is in the script: none is fetched');
  t.regex(script.text, /"validatorUrl": null/);
  t.regex(script.text, /"persistAuthorization": false/);
  t.notRegex(script.text, /queryConfigEnabled|configUrl|preauthorize\w*"|swaggerUrls"/);
});

test('S62 of Swagger UI’s package nothing is served but what the page loads', async (t) => {
  for (const file of [
    'index.html',
    'swagger-initializer.js',
    'oauth2-redirect.html',
    'swagger-ui.css.map',
    'swagger-ui-es-bundle.js',
    'package.json',
    'README.md',
    'LICENSE',
    '.npmrc',
    'nothing.css',
    '..%2fpackage.json',
    '%2e%2e/package.json',
  ]) {
    const { status, headers } = await api.client.raw('GET', `/apidocs/${file}`);
    t.deepEqual([status, headers.get('content-type')], [404, 'application/problem+json'], file);
  }
});

test('S62 the document’s examples hold nothing that looks like a real token', (t) => {
  t.notRegex(
    JSON.stringify(readDocument()),
    /eyJ[\w-]{10}|\b[a-z]{2}_[0-9a-f]{16}|AKIA[0-9A-Z]{16}|-----BEGIN/,
  );
});

test('S63 nothing redirects, neither to another host nor anywhere', async (t) => {
  const targets = [
    '//evil.test',
    '//evil.test/%2e%2e',
    '/\\evil.test',
    '/%5cevil.test',
    '/%2f%2fevil.test',
    '/.evil.test',
    '/apidocs//evil.test',
    '/apidocs/..//evil.test',
    '/apidocs/%2f%2fevil.test',
    '/apidocs/%5cevil.test/',
    '/apidocs%2f',
    'http://evil.test/apidocs',
    'http://evil.test//evil.test/apidocs',
  ];
  const paths = operationsOf(readDocument())
    .filter(({ method }) => method === 'get')
    .flatMap(({ path }) =>
      ['next', 'redirect', 'redirect_to', 'returnTo', 'return_url', 'continue'].map(
        (name) => `${path.replace('{id}', '1')}?${name}=https://evil.test/&token=x`,
      ),
    );
  t.true(paths.length > 50);
  for (const target of [...targets, ...paths]) {
    const request = `GET ${target} HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: evil.test\r\nConnection: close\r\n\r\n`;
    const { status, headers, body } = await exchange(api.server.url, request);
    t.false(status >= 300 && status < 400, target);
    for (const name of ['location', 'refresh', 'link', 'content-location'])
      t.false(headers.has(name), target);
    t.notRegex(body, /http-equiv|(?:href|action)="[^"]*evil/i, target);
  }
});

test('S56 S66 a part or a condition that is asked for makes nothing fail: the answer is whole', async (t) => {
  const files = [
    '/apidocs/swagger-ui.css',
    '/apidocs/favicon-16x16.png',
    '/apidocs',
    '/openapi.json',
  ];
  const questions: readonly Readonly<Record<string, string>>[] = [
    { range: 'bytes=99999999-' },
    { range: 'bytes=0-9' },
    { range: 'bytes=9-0, x' },
    { range: 'bytes=0-9', 'if-range': '"x"' },
    { 'if-match': '"x"' },
    { 'if-none-match': '*' },
    { 'if-modified-since': 'Fri, 31 Dec 9999 00:00:00 GMT' },
    { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
  ];
  for (const path of files) {
    const whole = await api.client.raw('GET', path);
    for (const name of ['etag', 'last-modified', 'accept-ranges'])
      t.false(whole.headers.has(name), `${path} ${name}`);
    for (const headers of questions) {
      const answer = await api.client.raw('GET', path, { headers });
      t.is(answer.status, 200, `${path} ${JSON.stringify(headers)}`);
      t.is(answer.text, whole.text);
    }
  }
  const failed = api.server
    .logLines()
    .filter((line) => line['log.level'] === 'error' && 'http.request.id' in line);
  t.deepEqual(failed, []);
});

test('S56 S66 an error that is the request’s own fault is answered as such, whatever its status', async (t) => {
  const { log, messages } = createRecordingLogger();
  const app = express().use((req, res, next) => {
    openContext(log, req, res, req.ip);
    next();
  });
  app.get('/:status', (req) => {
    throw Object.assign(new Error('the inside'), { status: Number(req.params.status) });
  });
  const server = app.use(problemHandler).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const answerTo = async (status: number): Promise<[number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${port}/${status}`);
    return [answer.status, ((await answer.json()) as Problem).code];
  };
  for (const status of [400, 403, 406, 409, 412, 416, 417, 431, 499])
    t.deepEqual(await answerTo(status), [400, 'malformed_request'], String(status));
  t.false(messages().includes('request failed'));
  for (const status of [200, 304, 399, 500, 503, 600])
    t.deepEqual(await answerTo(status), [500, 'internal'], String(status));
  t.is(messages().filter((message) => message === 'request failed').length, 6);
});

/** Routes that take forms, and where the form leads that is offered when something is wrong. */
const FORMS = {
  '/auth/confirm': '/auth/confirm/resend',
  '/auth/confirm/resend': '/auth/confirm/resend',
  '/auth/password/reset': '/auth/password/forgot',
  '/auth/password/forgot': '/auth/password/forgot',
} as const;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

test('S56 S60 a form is answered by a page whatever is wrong with it, and the page leads on', async (t) => {
  const { client } = api;
  for (const [path, wayOn] of Object.entries(FORMS)) {
    for (const [status, body, headers] of [
      [400, 'a=1&a=2', FORM],
      [400, Buffer.from([0x61, 0x3d, 0xff]), FORM],
      [413, `token=${'x'.repeat(40_000)}`, FORM],
      [415, 'token=x', { ...FORM, 'content-encoding': 'gzip' }],
      [422, 'unknown=1&token=x&email=a@x.test&password=a+password+of+some+length', FORM],
    ] as const) {
      const what = `${path} ${status} ${String(body).slice(0, 20)}`;
      const answer = await client.request<string>('POST', path, { body, headers });
      t.is(answer.status, status, what);
      isPageThatLeadsTo(t, answer, wayOn);
      const json = { ...headers, 'content-type': 'application/json' };
      const told = await client.request('POST', path, { body, headers: json });
      t.is(told.headers.get('content-type'), 'application/problem+json', what);
    }
  }
});

test('S56 S60 a form is answered by a page when there are too many, and when PostgreSQL is down', async (t) => {
  const database = await openTcpProxy(t, context.databaseUrl);
  const strict = await startApi(context, {
    scope: t,
    env: {
      DATABASE_URL: database.urlFor(context.databaseUrl),
      RATE_LIMIT_SCALE: '0.1',
      TRUST_PROXY: '1',
    },
  });
  const token = `ct_${'0'.repeat(32)}_${'A'.repeat(43)}`;
  const bodies: Readonly<Record<string, string>> = {
    '/auth/confirm': `token=${token}&password=x`,
    '/auth/password/reset': `token=${token}&password=${'a+long+password'.repeat(2)}`,
  };
  const send = (client: ApiClient, path: string): Promise<Answer> =>
    client.request('POST', path, { body: bodies[path] ?? 'email=a@x.test', headers: FORM });
  const isPageToReturnTo = (answer: Answer, status: number, wayOn: string): void => {
    t.is(answer.status, status, wayOn);
    isPageThatLeadsTo(t, answer, wayOn);
    t.regex(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
    t.true(answer.text.includes(answer.requestId), 'the number to tell the operators');
  };
  for (const [i, [path, wayOn]] of Object.entries(FORMS).entries()) {
    const client = createClient(strict.url, { 'x-forwarded-for': `192.0.2.${i}` });
    let answer = await send(client, path);
    for (let sent = 1; sent < 20 && answer.status !== 429; sent++)
      answer = await send(client, path);
    isPageToReturnTo(answer, 429, wayOn);
  }
  await database.refuse();
  const other = createClient(strict.url, { 'x-forwarded-for': '192.0.2.100' });
  for (const [path, wayOn] of Object.entries(FORMS))
    isPageToReturnTo(await send(other, path), 503, wayOn);
});

function isPageThatLeadsTo(t: ExecutionContext, { headers, text }: Answer, wayOn: string): void {
  t.is(headers.get('content-type'), 'text/html; charset=utf-8');
  t.regex(headers.get('content-security-policy') ?? '', /^default-src 'none'/);
  t.is(headers.get('cache-control'), 'no-store');
  t.true(text.includes(`<form method="post" action="${wayOn}">`), text);
  t.notRegex(text, /<script|sequelize|postgres|ECONN|at \S+ \(|application\/problem/i);
}

test.serial(
  'S27 a fresh installation has no account, and nobody is born an operator',
  async (t) => {
    for (const table of ['admins', 'registrations', 'users', 'sessions'])
      t.deepEqual(await context.rows(`select from ${table}`), [], table);
    for (const email of ['admin', 'root', 'operator', 'test', 'seed', 'demo'].flatMap((name) => [
      name,
      `${name}@example.com`,
      `${name}@localhost.test`,
      `${name}@rollcall.example`,
    ])) {
      for (const password of ['admin', 'root', 'password', 'changeme', email]) {
        const { status } = await api.client.post('/auth/login', { email, password });
        // A word is no address: it is refused before anybody is looked for.
        t.is(status, email.includes('@') ? 401 : 422, `${email} ${password}`);
      }
    }

    const first = await api.admins.confirmedAdmin();
    t.is(first.login.admin.role, 'admin');
    await api.admins.confirmedAdmin();
    const { body: seen } = await first.client.get<{ id: number }[]>('/auth/admins');
    t.deepEqual(
      seen.map(({ id }) => id),
      [first.id],
    );
  },
);

test.serial('S26 what is no text is no address and no password', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { email, password } = admin;
  const before = await sessions();
  const foreign: readonly unknown[] = [
    [],
    [email],
    [email, 'b@x.test'],
    [password],
    {},
    { $ne: null },
    { $gt: '' },
    { like: '%' },
    { toString: email },
    0,
    17,
    true,
    false,
    null,
    undefined,
  ];
  for (const value of foreign) {
    for (const field of ['email', 'password']) {
      const what = `${JSON.stringify(value)} for ${field}`;
      const { status, body } = await api.client.post<Problem>('/auth/login', {
        email,
        password,
        [field]: value,
      });
      t.deepEqual([status, body.code], [422, 'validation_failed'], what);
      t.true(
        body.errors?.every(({ pointer }) => pointer.startsWith(`#/${field}`)),
        what,
      );
    }
    const reset = await api.client.post('/auth/password/forgot', { email: value });
    t.is(reset.status, 422);
    const resend = await api.client.post('/auth/confirm/resend', { email: value });
    t.is(resend.status, 422);
    const refresh = await api.client.post('/auth/refresh', { refresh_token: value });
    t.is(refresh.status, 422);
    const confirm = await api.client.post('/auth/confirm', { token: value, password });
    t.is(confirm.status, 422);
    const link = { token: 'ct_x', password: value };
    t.is((await api.client.post('/auth/confirm', link)).status, 422);
    t.is((await api.client.post('/auth/password/reset', link)).status, 422);
    if (value === undefined) continue;
    const changed = await admin.client.put('/auth/me', {
      password: value,
      current_password: value,
    });
    t.is(changed.status, 422);
  }
  t.is(await sessions(), before);
  t.deepEqual(
    await context.rows(
      `select from audit_events where event = 'authn_login_fail' and admin_id = $1`,
      [admin.id],
    ),
    [],
    'nobody’s password was tried',
  );
});

const sessions = async (): Promise<number> => (await context.rows('select from sessions')).length;
