import test, { type ExecutionContext } from 'ava';
import { openContext } from '../../api/http/request-context.js';
import { createHttpServer, type ServerTimeouts } from '../../api/http/server.js';
import { closeServer, listen } from '../../shared/lifecycle/http-server.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { exchange, openConnection, readAnswer, type RawAnswer } from '../helpers/raw-http.js';

const context = useSharedContext('api');
const api = useApi(context);

for (const [what, request, status, code] of [
  [
    'headers of 20 KB',
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
  ['a broken request line', 'NONSENSE\r\n\r\n', 400, 'malformed_request'],
] as const) {
  test(`a request with ${what} is refused with the code ${code}, as listed`, async (t) => {
    const answer = await exchange(api.server.url, request);
    const problem = JSON.parse(answer.body) as Record<string, unknown>;
    t.is(answer.status, status);
    t.like(problem, { status, code, type: `urn:rollcall:problem:${code.replaceAll('_', '-')}` });
    t.is(problem['request_id'], answer.headers.get('x-request-id'));
  });
}

const TRACE_ID = 'a'.repeat(32);
const POST = 'POST /users HTTP/1.1';

for (const [what, line, body, status] of [
  ['a chunk size that is none', POST, 'zz\r\n', 400],
  ['a chunk extension of 20 KB', POST, `1;${'x'.repeat(20_000)}\r\n`, 400],
  ['trailers of 20 KB', POST, `0\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ['a chunk size that is none, which nothing reads,', 'GET /users HTTP/1.1', 'zz\r\n', 400],
] as const) {
  test(`${line}: ${what} is the answer to the request: its id, trace and line`, async (t) => {
    const { client, login } = await api.admins.confirmedAdmin();
    const requestId = `probe-${status}-${context.uniqueAddress().replaceAll(/\W/g, '')}`.slice(
      0,
      64,
    );
    const head = chunked(line, requestId, login.access_token);
    isAnswerTo(await exchange(api.server.url, head + body), { t, requestId, status });
    const ofRequest = () =>
      api.server.logLines().filter((each) => each['http.request.id'] === requestId);
    await eventually(() => ofRequest()[0]);
    t.is((await client.get('/users')).status, 200);
    t.is(ofRequest().length, 1);
    t.like(ofRequest()[0], {
      message: 'request',
      'http.response.status_code': status,
      'event.outcome': 'failure',
      'trace.id': TRACE_ID,
    });
  });
}

test('a body that stalls is the answer to the request, in its line and in the metrics', async (t) => {
  const requestId = 'probe-stalled';
  const { url, lines, statuses } = await openServer(t, {
    headersTimeoutMs: 200,
    requestTimeoutMs: 200,
    checkIntervalMs: 50,
  });
  const answer = await exchange(url, chunked('POST / HTTP/1.1', requestId));
  isAnswerTo(answer, { t, requestId, status: 408 });
  await eventually(() => lines[0]);
  t.is(lines.length, 1);
  t.like(lines[0], {
    msg: 'request',
    'http.request.id': requestId,
    'http.response.status_code': 408,
  });
  t.deepEqual(statuses, [408]);
});

test('a body that the client cuts off is answered, and counts as aborted', async (t) => {
  const requestId = 'probe-cut-off';
  const { url, lines, statuses } = await openServer(t);
  const socket = await openConnection(url);
  socket.end(chunked('POST / HTTP/1.1', requestId));
  isAnswerTo(await readAnswer(socket), { t, requestId, status: 400 });
  await eventually(() => lines[0]);
  t.is(lines.length, 1);
  t.like(lines[0], { msg: 'request aborted', 'http.response.status_code': 400 });
  t.deepEqual(statuses, [499]);
});

for (const [what, rest, status] of [
  ['what is no HTTP', 'GARBAGE\r\n\r\n', 400],
  ['CONNECT', 'CONNECT x.test:80 HTTP/1.1\r\nHost: x\r\n\r\n', 405],
] as const) {
  test(`${what} behind complete requests is refused after their answers`, async (t) => {
    const { client, login } = await api.admins.confirmedAdmin();
    const body = JSON.stringify({ email: context.uniqueAddress() });
    const create =
      `${POST}\r\nHost: x\r\nAuthorization: Bearer ${login.access_token}\r\nX-Request-Id: probe-complete\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const { text } = await exchange(
      api.server.url,
      `GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n${create}${rest}`,
    );
    t.deepEqual(statusesIn(text), [200, 201, status]);
    t.is(text.match(/X-Request-Id: probe-complete\r\n/g)?.length, 1);
    t.is((await client.get<unknown[]>('/users')).body.length, 1);
  });
}

test('a request with a broken body is refused after the answer to the one before it', async (t) => {
  const { login } = await api.admins.confirmedAdmin();
  const first = `GET /users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${login.access_token}\r\n\r\n`;
  const second = `${chunked(POST, 'probe-second', login.access_token)}zz\r\n`;
  const { text } = await exchange(api.server.url, first + second);
  t.deepEqual(statusesIn(text), [200, 400]);
  t.regex(text, /400 Bad Request[^]*X-Request-Id: probe-second\r\n/);
});

test('what is no HTTP waits for an answer no longer than for a request', async (t) => {
  // Without a limit for idle connections: a client that keeps sending is never idle.
  const timeouts = { headersTimeoutMs: 200, requestTimeoutMs: 200, stallTimeoutMs: 0 };
  const { url } = await openServer(t, timeouts);
  const { text } = await exchange(url, 'GET / HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n');
  t.is(text, '');
});

/** A server of the API's that answers no request. */
async function openServer(t: ExecutionContext, timeouts?: ServerTimeouts) {
  const { log, lines } = createRecordingLogger();
  const statuses: number[] = [];
  const record = (_method: unknown, _route: unknown, status: number): void =>
    void statuses.push(status);
  const server = createHttpServer(
    { onRequest: (req, res) => void openContext(log, req, res, undefined, { record }) },
    log,
    {},
    timeouts,
  );
  const port = await listen(server, 0, '127.0.0.1');
  t.teardown(() => closeServer(server, 0));
  return { url: `http://127.0.0.1:${port}`, lines, statuses };
}

const chunked = (line: string, requestId: string, token = 'none'): string =>
  `${line}\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nX-Request-Id: ${requestId}\r\n` +
  `traceparent: 00-${TRACE_ID}-${'b'.repeat(16)}-01\r\n` +
  'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';

function isAnswerTo(
  { status, headers, body, text }: RawAnswer,
  expected: { t: ExecutionContext; requestId: string; status: number },
): void {
  const { t, requestId } = expected;
  t.is(status, expected.status);
  t.deepEqual(statusesIn(text), [expected.status]);
  t.is(headers.get('x-request-id'), requestId);
  t.is(headers.get('connection'), 'close');
  t.like(JSON.parse(body), { status: expected.status, request_id: requestId });
}

const statusesIn = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
