import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { createFindPath } from '../../api/http/documented-paths.js';
import { createFront } from '../../api/http/front.js';
import { createHttpServer } from '../../api/http/server.js';
import { closeServer, listen } from '../../shared/lifecycle/http-server.js';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { exchange, openConnection, readAnswer } from '../helpers/raw-http.js';

// Requests on one connection are processed in turn (RFC 9112, 9.3.2), and no more of them are read than that needs.

const context = useSharedContext('api');
const api = useApi(context);

interface User {
  readonly id: number;
  readonly name: string | null;
}

test('pipelined changes of one user are made in turn: the last one counts', async (t) => {
  const { client, send, path } = await withUser();
  for (let round = 0; round < 5; round += 1) {
    const names = Array.from({ length: 8 }, (_, i) => `Round ${round} name ${i}`);
    const answers = await send([
      ...names.map((name) => ({ line: `PUT ${path}`, json: { name } })),
      { line: `GET ${path}` },
    ]);
    t.deepEqual(statusesIn(answers), Array(9).fill(200));
    t.deepEqual(namesIn(answers), [...names, names.at(-1)]);
    t.is((await client.get<User>(path)).body.name, names.at(-1) ?? null);
  }
});

test('a read behind a deletion finds nothing', async (t) => {
  const { send, path } = await withUser();
  const answers = await send([
    { line: `GET ${path}` },
    { line: `DELETE ${path}` },
    { line: `GET ${path}` },
    { line: `GET ${path}` },
  ]);
  t.deepEqual(statusesIn(answers), [200, 204, 404, 404]);
});

test('a read before a deletion still finds the user', async (t) => {
  const { send, path } = await withUser();
  // In a spelling that Express answers, which takes longer.
  const answers = await send([{ line: `GET ${path}/` }, { line: `DELETE ${path}` }]);
  t.deepEqual(statusesIn(answers), [200, 204]);
});

test('a read behind a logout is refused', async (t) => {
  const { send } = await withUser();
  const answers = await send([
    { line: 'GET /auth/me' },
    { line: 'POST /auth/logout' },
    { line: 'GET /auth/me' },
  ]);
  t.deepEqual(statusesIn(answers), [200, 204, 401]);
});

test('nothing behind the last answer of a connection is carried out', async (t) => {
  const { client, send } = await withUser();
  const create = () => ({ line: 'POST /users', json: { email: context.uniqueAddress() } });
  const answers = await send([
    create(),
    { line: 'POST /users', json: { email: context.uniqueAddress(), name: 'x'.repeat(20_000) } },
    create(),
    create(),
  ]);
  t.deepEqual(statusesIn(answers), [201, 413]);
  // A change takes longer than a read.
  await client.post('/users', create().json);
  t.is((await client.get<User[]>('/users')).body.length, 3);
});

test('each request has its connection to itself, in the order in which they came', async (t) => {
  const { socket, started } = await openHeld(t);
  const lines = ['GET /1', 'GET /2', 'PUT /3', 'HEAD /4', 'OPTIONS /5', 'PATCH /6', 'DELETE /7'];
  const answered = readAnswer(socket);
  socket.write(lines.map((line) => request(line)).join(''));
  for (const [i] of lines.entries()) {
    await eventually(() => started.length === i + 1);
    await pause();
    t.is(started.length, i + 1);
    started[i]?.end(`(${i + 1})`);
  }
  await once(started[6] as ServerResponse, 'close');
  socket.end();
  const { text } = await answered;
  t.deepEqual(text.match(/\(\d\)/g), ['(1)', '(2)', '(3)', '(5)', '(6)', '(7)']);
  t.deepEqual(urlsOf(started), ['/1', '/2', '/3', '/4', '/5', '/6', '/7']);
});

test('a request that comes later waits too, and then the connection is free again', async (t) => {
  const { socket, started } = await openHeld(t);
  socket.write(request('PUT /1') + request('GET /2'));
  await eventually(() => started.length === 1);
  started[0]?.end();
  await eventually(() => started.length === 2);
  socket.write(request('GET /3'));
  await pause();
  t.is(started.length, 2);
  started[1]?.end();
  await eventually(() => started.length === 3);
  started[2]?.end();
  await once(started[2] as ServerResponse, 'close');
  socket.write(request('GET /4'));
  await eventually(() => started.length === 4);
  t.deepEqual(urlsOf(started), ['/1', '/2', '/3', '/4']);
});

test('a hundred requests may be pipelined: while many wait, no more are read', async (t) => {
  const warnings: Error[] = [];
  const keep = (warning: Error): void => void warnings.push(warning);
  process.on('warning', keep);
  t.teardown(() => process.off('warning', keep));
  const { socket, started } = await openHeld(t, (res) => res.req.url !== '/0');
  const answered = readAnswer(socket);
  const paths = Array.from({ length: 100 }, (_, i) => `/${i}`);
  // Long ones, so that Node does not read all of them at once.
  const headers = `X-Pad: ${'x'.repeat(3_000)}\r\n`;
  const lines = paths.map((path, i) => `${i % 2 ? 'GET' : 'PUT'} ${path}`);
  socket.write(lines.map((line) => request(line, undefined, headers)).join(''));
  await eventually(() => started.length === 1 && started[0]?.req.socket.isPaused());
  started[0]?.end('/0\n');
  await eventually(() => started.length === paths.length);
  await eventually(() => started.at(-1)?.writableFinished);
  socket.end();
  const { text } = await answered;
  t.deepEqual(
    text.match(/\/\d+\n/g),
    paths.map((path) => `${path}\n`),
  );
  t.deepEqual(warnings, []);
});

test('what waits is dropped when the client leaves', async (t) => {
  const { socket, started } = await openHeld(t);
  socket.write(request('PUT /1') + request('PUT /2') + request('GET /3'));
  await eventually(() => started.length === 1);
  await pause();
  socket.destroy();
  await once(started[0] as ServerResponse, 'close');
  started[0]?.end();
  await pause();
  t.deepEqual(urlsOf(started), ['/1']);
});

test('what waits is dropped when the client leaves as its turn comes', async (t) => {
  const { socket, started } = await openHeld(t);
  socket.write(request('PUT /1') + request('PUT /2'));
  await eventually(() => started.length === 1);
  await pause();
  const [first] = started as [ServerResponse];
  first.once('close', () => first.req.socket.destroy());
  first.end();
  await once(first.req.socket, 'close');
  await pause();
  t.deepEqual(urlsOf(started), ['/1']);
});

test('a large body waits unread and arrives whole', async (t) => {
  const { socket, started } = await openHeld(t);
  const body = 'x'.repeat(500_000);
  socket.write(request('PUT /1') + request('PUT /2', body));
  await eventually(() => started.length === 1 && started[0]?.req.socket.isPaused());
  started[0]?.end();
  await eventually(() => started.length === 2);
  let bytes = 0;
  for await (const chunk of (started[1] as ServerResponse).req) bytes += (chunk as Buffer).length;
  t.is(bytes, body.length);
});

test('behind a request with a body that waits nothing is read until its turn', async (t) => {
  const { socket, started } = await openHeld(t, (res) => res.req.url !== '/1');
  socket.write(request('PUT /1') + request('PUT /2', 'x'));
  await eventually(() => started.length === 1 && started[0]?.req.socket.isPaused());
  socket.write(request('GET /3'));
  started[0]?.end();
  await eventually(() => started.length === 3);
  t.deepEqual(urlsOf(started), ['/1', '/2', '/3']);
});

test('a body that breaks while it waits is the answer to its request, which is not carried out', async (t) => {
  const { socket, started, lines } = await openHeld(t);
  const answered = readAnswer(socket);
  const broken =
    'PUT /2 HTTP/1.1\r\nHost: x\r\nX-Request-Id: probe-broken\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n';
  socket.write(request('PUT /1') + broken);
  await eventually(() => started.length === 1);
  await pause();
  started[0]?.end();
  const { text } = await answered;
  t.deepEqual(statusesIn(text), [200, 400]);
  await eventually(() => lines.length === 2);
  t.like(lines[1], { 'http.request.id': 'probe-broken', 'http.response.status_code': 400 });
  t.deepEqual(urlsOf(started), ['/1']);
});

interface Sent {
  readonly line: string;
  readonly json?: object;
}

/** An admin with a user, and a way to pipeline as that admin. */
async function withUser() {
  const admin: TestAdmin = await api.admins.confirmedAdmin();
  const { body: user } = await admin.client.post<User>('/users', {
    email: context.uniqueAddress(),
  });
  const authorization = `Authorization: Bearer ${admin.login.access_token}\r\n`;
  const send = async (requests: readonly Sent[]): Promise<string> => {
    const texts = requests.map(({ line, json }, i) => {
      const isLast = i === requests.length - 1;
      const headers = `${authorization}${isLast ? 'Connection: close\r\n' : ''}`;
      return request(line, json && JSON.stringify(json), headers);
    });
    return (await exchange(api.server.url, texts.join(''))).text;
  };
  return { client: admin.client, send, path: `/users/${user.id}` };
}

/** A connection to a front that answers, of what it starts, only what `isAnswered` picks. */
async function openHeld(
  t: ExecutionContext,
  isAnswered: (res: ServerResponse) => boolean = () => false,
) {
  const { log, lines } = createRecordingLogger();
  const started: ServerResponse[] = [];
  const onRequest = createFront({
    log,
    record: () => undefined,
    tracer: undefined,
    clientAddress: () => undefined,
    headers: {},
    findPath: createFindPath({}),
    undocumented: ['/'],
    routes: [],
    gates: new Map(),
    app: (req, res) => {
      started.push(res);
      if (isAnswered(res)) res.end(`${req.url}\n`);
    },
  });
  const server = createHttpServer({ onRequest }, log, {});
  const port = await listen(server, 0, '127.0.0.1');
  t.teardown(() => closeServer(server, 0));
  return { socket: await openConnection(`http://127.0.0.1:${port}`), started, lines };
}

function request(line: string, body?: string, headers = ''): string {
  const type = body === undefined ? '' : 'Content-Type: application/json\r\n';
  const length = line.startsWith('P') ? `Content-Length: ${body?.length ?? 0}\r\n` : '';
  return `${line} HTTP/1.1\r\nHost: x\r\n${headers}${type}${length}\r\n${body ?? ''}`;
}

/** Long enough for what has arrived to be started, were it not held back. */
async function pause(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
}

const urlsOf = (responses: readonly ServerResponse[]) => responses.map(({ req }) => req.url);

const statusesIn = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

const namesIn = (text: string): unknown[] =>
  [...text.matchAll(/"name":"([^"]*)"/g)].map(([, name]) => name);
