import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { request, type OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import test from 'ava';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { openWorkerHttp } from '../../workers/http/http.js';
import type { DrainState } from '../../workers/jobs/drain.js';
import { isPrivateAddress } from '../../workers/http/private-peers.js';
import type { QueueMessage } from '../../workers/mail/ses-events/ses-events.js';
import type { Tasks } from '../../workers/tasks/tasks.js';
import { shareProcess, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openConnection } from '../helpers/raw-http.js';

shareProcess();

test('live says alive, whatever else is wrong', async (t) => {
  const { ask } = await setUp(t, { ok: false });
  t.like(await ask('GET', '/health/live'), { status: 200, body: { status: 'alive' } });
  t.is((await ask('HEAD', '/health/live')).text, '');
});

test('ready tells what each check found', async (t) => {
  const { ask } = await setUp(t);
  const answer = await ask('GET', '/health/ready');
  t.is(answer.status, 200);
  t.deepEqual(answer.body, { status: 'ready', checks: { postgres: { ok: true } } });
});

test('not ready is 503, by a failed check or because the process is stopping', async (t) => {
  for (const state of [{ ok: false }, { isStopping: true }]) {
    const { ask } = await setUp(t, state);
    const answer = await ask('GET', '/health/ready');
    t.like(answer, { status: 503, body: { status: 'not_ready' } });
    t.is(answer.headers['retry-after'], '5');
  }
});

test('a worker that is drained is not ready, says how far it is, and still answers the daemon', async (t) => {
  for (const drain of ['draining', 'drained'] as const) {
    const { ask, ran } = await setUp(t, { drain });
    const answer = await ask('GET', '/health/ready');
    t.is(answer.status, 503);
    t.like(answer.body, { status: 'not_ready', jobs: drain });
    t.is((await ask('GET', '/health/live')).status, 200);
    t.is((await ask('POST', '/sqs', JSON_TYPE, '{}')).status, 200);
    t.is((await ask('POST', '/tasks/sweep-outbox')).status, 200);
    t.is(ran.length, 1);
  }
});

test('a task is run by POST with an empty body, and answered with 200', async (t) => {
  const { ask, ran } = await setUp(t);
  const answer = await ask('POST', '/tasks/sweep-outbox', {
    'content-type': 'application/json',
    'x-request-id': 'my-request-1',
  });
  t.like(answer, { status: 200, body: { task: 'sweep-outbox', result: { checked: 3 } } });
  t.deepEqual(ran, ['sweep-outbox for my-request-1']);
});

test('a task that the end of the process may have cut short is 503, so that the daemon posts it again', async (t) => {
  const { ask } = await setUp(t, { isStopping: true });
  const answer = await ask('POST', '/tasks/sweep-outbox');
  t.like(answer, { status: 503, body: { code: 'unavailable' } });
  t.is(answer.headers['retry-after'], '5');
});

test('a task that fails is 500, so that the daemon posts it again; why is in the log alone', async (t) => {
  const { ask, lines } = await setUp(t);
  const answer = await ask('POST', '/tasks/purge-expired');
  t.is(answer.status, 500);
  t.like(answer.body, { status: 500, code: 'internal', type: 'urn:rollcall:problem:internal' });
  t.false(answer.text.includes('secret'));
  t.true(lines.some((line) => JSON.stringify(line).includes('secret reason')));
});

test('what is not there is 404, whatever the method; every problem names its request', async (t) => {
  const { ask } = await setUp(t);
  for (const [method, path] of [
    ['GET', '/'],
    ['POST', '/tasks/nope'],
    ['POST', '/tasks/'],
    ['POST', '/tasks/../health/live'],
    ['POST', '/sqs/'],
    ['GET', '/metrics'],
    ['GET', '/health'],
  ] as const) {
    const answer = await ask(method, path, { 'x-request-id': 'my-request-1' });
    t.is(answer.status, 404, `${method} ${path}`);
    t.is(answer.headers['content-type'], 'application/problem+json');
    t.is(answer.headers['x-request-id'], 'my-request-1');
    t.deepEqual(answer.body, {
      type: 'urn:rollcall:problem:not-found',
      title: 'The resource was not found',
      status: 404,
      detail: 'Check the path and the id.',
      code: 'not_found',
      instance: 'urn:rollcall:request:my-request-1',
      request_id: 'my-request-1',
    });
  }
});

test('a wrong method is 405 with Allow', async (t) => {
  const { ask, ran } = await setUp(t);
  for (const [method, path, allow] of [
    ['POST', '/health/live', 'GET, HEAD'],
    ['DELETE', '/health/ready', 'GET, HEAD'],
    ['GET', '/tasks/sweep-outbox', 'POST'],
    ['GET', '/sqs', 'POST'],
  ] as const) {
    const answer = await ask(method, path);
    t.is(answer.status, 405);
    t.is(answer.headers['allow'], allow);
  }
  t.deepEqual(ran, []);
});

test('a body that no task needs is refused when it is large', async (t) => {
  const { ask, ran } = await setUp(t);
  t.is((await ask('POST', '/tasks/sweep-outbox', {}, 'x'.repeat(70_000))).status, 413);
  t.deepEqual(ran, []);
  t.is((await ask('POST', '/tasks/sweep-outbox', {}, '{"a":1}')).status, 200);
  t.is(ran.length, 1);
});

test('a client that hangs up in the middle of its request is no defect', async (t) => {
  const { port, ran, lines } = await setUp(t);
  const client = await openConnection(`http://127.0.0.1:${port}`);
  const half = 'POST /tasks/sweep-outbox HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf';
  client.write(half, () => client.destroy());
  const line = await eventually(() => lines.find(({ msg }) => msg === 'request aborted'));
  t.like(line, { level: 40 });
  t.deepEqual(ran, []);
});

test('a connection stays open longer than the daemon keeps it', async (t) => {
  const { ask } = await setUp(t);
  t.is((await ask('GET', '/health/live')).headers['keep-alive'], 'timeout=75');
});

test('peers on this host and in private networks are near, all others are not', (t) => {
  for (const address of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.7.7',
    'fd00::1',
    'fc12::1',
    'fe80::1%eth0',
    '::ffff:10.0.0.1',
    '::FFFF:127.0.0.1',
  ]) {
    t.true(isPrivateAddress(address), address);
  }
  for (const address of [
    '8.8.8.8',
    '172.32.0.1',
    '192.169.0.1',
    '11.0.0.1',
    '2001:db8::1',
    '::ffff:8.8.8.8',
    '::ffff:0808:0808',
    '::',
    'example',
    '',
    undefined,
  ]) {
    t.false(isPrivateAddress(address), String(address));
  }
});

const ROUTES = [
  ['GET', '/health/live'],
  ['HEAD', '/health/live'],
  ['GET', '/health/ready'],
  ['POST', '/sqs'],
  ['POST', '/tasks/sweep-outbox'],
  ['GET', '/tasks/sweep-outbox'],
  ['GET', '/nowhere'],
] as const;
const bodyOf = (method: string): string => (method === 'POST' ? '{}' : '');

test('a peer that is neither on this host nor in a private network gets 403 on each route', async (t) => {
  const { ask, port, ran, taken } = await setUp(t);
  // Each request comes by a connection of its own.
  const ONCE = { ...JSON_TYPE, connection: 'close' };
  let peer = '8.8.8.8';
  // There is no public address to come from: the socket is told that it has one, before it is served.
  const pretend = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    if (socket.localPort === port) Object.defineProperty(socket, 'remoteAddress', { value: peer });
  };
  subscribe('net.server.socket', pretend);
  t.teardown(() => unsubscribe('net.server.socket', pretend));
  for (peer of ['8.8.8.8', '2001:db8::1', '::ffff:203.0.113.9']) {
    for (const [method, path] of ROUTES) {
      const answer = await ask(method, path, ONCE, bodyOf(method));
      t.is(answer.status, 403, `${peer} ${method} ${path}`);
    }
  }
  t.deepEqual([ran, taken], [[], []]);
  for (peer of ['10.1.2.3', 'fd00::1', '::ffff:172.17.0.1']) {
    t.is((await ask('GET', '/health/live', ONCE)).status, 200, peer);
    t.is((await ask('POST', '/sqs', ONCE, '{}')).status, 200, peer);
  }
});

const SINGLE_ADDRESS_HEADERS = [
  ...['x-real-ip', 'true-client-ip', 'x-client-ip', 'x-forwarded-by'],
  ...['forwarded-for', 'fly-client-ip', 'x-envoy-external-address', 'x-azure-clientip'],
  ...['x-azure-socketip', 'x-appengine-user-ip', 'wl-proxy-client-ip', 'x-remote-addr'],
  ...['x-vercel-forwarded-for', 'x-nf-client-connection-ip', 'x-originating-ip', 'cdn-src-ip'],
];

test('what a near proxy passes on for somebody else is 403 on each route', async (t) => {
  const { ask, ran, taken } = await setUp(t);
  for (const headers of [
    { 'x-forwarded-for': '8.8.8.8' },
    { 'x-forwarded-for': '8.8.8.8, 10.0.0.1' },
    { 'x-forwarded-for': '10.0.0.1, 8.8.8.8' },
    { 'x-forwarded-for': '8.8.8.8:4711' },
    { 'x-forwarded-for': '[2001:db8::1]:4711' },
    { 'x-forwarded-for': '::ffff:8.8.8.8' },
    { 'x-forwarded-for': 'unknown' },
    { 'x-forwarded-for': ['127.0.0.1', '8.8.8.8'] },
    { forwarded: 'for=8.8.8.8' },
    { forwarded: 'proto=http; For = "8.8.8.8:80" ;by=10.0.0.1' },
    { forwarded: 'for=10.0.0.1, for="[2001:db8::1]:4711"' },
    { forwarded: 'for=_hidden' },
    { 'cf-connecting-ip': '2001:db8::1' },
    { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '8.8.8.8' },
    { 'x-forwarded-host': 'public.example' },
    { 'x-forwarded-host': 'worker:8080, public.example:443' },
    { 'x-forwarded-host': '8.8.8.8:8080' },
    { 'x-original-host': 'public.example' },
    { 'x-forwarded-server': 'proxy.example' },
    { 'x-forwarded': 'for=8.8.8.8' },
    { 'x-forwarded': '8.8.8.8' },
    { forwarded: 'host=public.example' },
    { forwarded: 'for=127.0.0.1;host="public.example:443"' },
    { forwarded: 'public.example' },
    { 'cf-connecting-ipv6': '2001:db8::1' },
    { 'cloudfront-viewer-address': '8.8.8.8:46532' },
    { 'cloudfront-viewer-address': '2001:db8::1:46532' },
    ...SINGLE_ADDRESS_HEADERS.map((name) => ({ [name]: '8.8.8.8' })),
  ]) {
    for (const [method, path] of ROUTES) {
      const answer = await ask(method, path, { ...JSON_TYPE, ...headers }, bodyOf(method));
      t.is(answer.status, 403, `${JSON.stringify(headers)} ${method} ${path}`);
    }
  }
  t.deepEqual([ran, taken], [[], []]);
});

test('what a near proxy passes on for a near client is served', async (t) => {
  const { ask } = await setUp(t);
  for (const headers of [
    { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1' },
    { 'x-forwarded-for': '10.0.0.7, 172.17.0.1' },
    { 'x-forwarded-for': '[fd00::1]:4711' },
    { 'x-forwarded-for': '' },
    { forwarded: 'for=127.0.0.1;proto=http;by=10.0.0.1' },
    { forwarded: 'proto=https;by=8.8.8.8' },
    { forwarded: 'for="[fe80::1]"' },
    { forwarded: 'for=10.0.0.7;host="worker:8080"' },
    { 'x-forwarded-host': 'worker:8080', 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' },
    { 'x-forwarded-host': '[fd00::1]:8080', 'x-forwarded-server': 'w.svc.cluster.local' },
    { 'x-envoy-external-address': '10.0.0.7', 'x-azure-clientip': '10.0.0.7:4711' },
    { 'cloudfront-viewer-address': '10.0.0.7:46532', 'cloudfront-forwarded-proto': 'https' },
    { 'x-relationship': 'public', 'x-zip': '8.8.8.8', 'x-aws-sqsd-path': '/sqs' },
  ])
    t.is((await ask('POST', '/sqs', { ...JSON_TYPE, ...headers }, '{}')).status, 200);
});

test('a page in a browser on this host reaches no route, whatever its name leads to', async (t) => {
  const { ask, ran, taken } = await setUp(t);
  for (const headers of [
    { host: 'evil.test' },
    { host: 'evil.test:8080' },
    { host: '127.0.0.1.evil.test' },
    { host: 'localhost.evil.test' },
    { host: 'evillocalhost.com' },
    { host: '127.0.0.1@evil.test' },
    { origin: 'https://evil.test' },
    { origin: 'null' },
  ])
    for (const [method, path] of ROUTES)
      t.is((await ask(method, path, { ...JSON_TYPE, ...headers }, bodyOf(method))).status, 403);
  t.deepEqual([ran, taken], [[], []]);
  for (const host of [
    ...['localhost', 'LOCALHOST:8080', 'localhost.', '127.0.0.1:80', '10.0.0.9', '[::1]:8080'],
    ...['worker', 'worker:8080', 'ip-10-0-0-9.eu-west-1.compute.internal', 'w.svc.cluster.local'],
  ])
    t.is((await ask('POST', '/tasks/sweep-outbox', { host })).status, 200, host);
});

test('a port that is taken is told at once', async (t) => {
  const { port } = await setUp(t);
  await t.throwsAsync(openWorkerHttp(parts().deps, { host: '127.0.0.1', port }), {
    code: 'EADDRINUSE',
  });
});

const JSON_TYPE = { 'content-type': 'application/json' };

interface State {
  readonly ok?: boolean;
  readonly isStopping?: boolean;
  readonly drain?: DrainState;
}

function parts({ ok = true, isStopping = false, drain = 'working' }: State = {}) {
  const { log, lines } = createRecordingLogger();
  const ran: string[] = [];
  const taken: unknown[] = [];
  const tasks: Tasks = {
    async run(name, requestId) {
      ran.push(`${name} for ${requestId}`);
      if (name === 'purge-expired') throw new Error('secret reason');
      return { checked: 3 };
    },
    stop: async () => undefined,
  };
  const deps = {
    log,
    tasks,
    sesEvents: {
      async receive({ body }: QueueMessage) {
        taken.push(body);
        return 'ignored' as const;
      },
    },
    checks: { postgres: async () => ({ ok }) },
    metrics: createMetrics('worker'),
    metricsToken: 'the token of the metrics',
    isStopping: () => isStopping,
    drainState: () => drain,
  };
  return { deps, ran, taken, lines };
}

async function setUp(scope: Scope, state: State = {}) {
  const { deps, ...rest } = parts(state);
  const http = await openWorkerHttp(deps, { host: '127.0.0.1', port: 0 });
  scope.teardown(() => http.close());
  // The path goes out as it stands: `fetch` would tidy it up.
  const ask = (method: string, path: string, headers: OutgoingHttpHeaders = {}, body = '') =>
    new Promise<{
      status: number;
      headers: NodeJS.Dict<string | string[]>;
      text: string;
      body: unknown;
    }>((resolve, reject) => {
      const req = request({ host: '127.0.0.1', port: http.port, method, path, headers }, (res) => {
        let text = '';
        res.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        res.on('end', () =>
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            text,
            body: text === '' ? undefined : JSON.parse(text),
          }),
        );
      });
      req.on('error', reject);
      req.end(body);
    });
  return { ask, port: http.port, ...rest };
}
