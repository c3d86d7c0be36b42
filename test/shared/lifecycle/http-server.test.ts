import { createServer, get, Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { closeServer, listen } from '../../../shared/lifecycle/http-server.js';
import type { Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';

const LONG_MS = 60_000;

test('a response whose headers were sent before the stop is completed, and its connection closed', async (t) => {
  const { server, port, answers } = await setUp(t);
  const response = ask(t, port);
  const answer = await eventually(() => answers[0]);
  answer.writeHead(200, { 'Content-Type': 'text/plain' }).write('first, ');
  const received = await response;
  t.is(received.headers.connection, 'keep-alive');

  const closed = closeServer(server, LONG_MS);
  answer.end('last');
  t.is(await text(received), 'first, last');
  await closed;
});

test('a response that starts after the stop announces `Connection: close`', async (t) => {
  const { server, port, answers } = await setUp(t);
  const response = ask(t, port);
  const answer = await eventually(() => answers[0]);
  const closed = closeServer(server, LONG_MS);
  answer.end('late');
  const received = await response;
  t.is(received.headers.connection, 'close');
  t.is(await text(received), 'late');
  await closed;
});

test('a request that is not answered in time is cut off', async (t) => {
  const { server, port, answers } = await setUp(t);
  const response = ask(t, port);
  await eventually(() => answers[0]);
  const cut = t.throwsAsync(response, { code: 'ECONNRESET' });
  await closeServer(server, 20);
  await cut;
});

test('closing twice, or a server that never listened, is safe', async (t) => {
  const { server } = await setUp(t);
  await Promise.all([closeServer(server, LONG_MS), closeServer(server, LONG_MS)]);
  await closeServer(server, LONG_MS);
  await closeServer(createServer(), LONG_MS);
  t.pass();
});

async function setUp(scope: Scope) {
  const answers: ServerResponse[] = [];
  const server = createServer((_req, res) => void answers.push(res));
  const port = await listen(server, 0, '127.0.0.1');
  scope.teardown(() => closeServer(server, 0));
  return { server, port, answers };
}

/** Asks over a connection that the client would keep. */
function ask(scope: Scope, port: number): Promise<IncomingMessage> {
  const agent = new Agent({ keepAlive: true });
  scope.teardown(() => agent.destroy());
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent }, resolve).on('error', reject);
  });
}
