import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { percentileMs } from '../../../bench/speed/load/histogram.js';
import { COUNTER } from '../../../bench/speed/load/load-job.js';
import { requestBytes } from '../../../bench/speed/load/requests.js';
import { runLoad } from '../../../bench/speed/load/run-load.js';

/** Resolves to the port of a server that closes with the test. */
async function serve(t: ExecutionContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('every response is counted, and every number is used once', async (t) => {
  const bodies: string[] = [];
  const port = await serve(t, (req, res) => {
    void text(req).then((body) => {
      bodies.push(body);
      res.writeHead(201).end('{}');
    });
  });
  const body = { email: `new${COUNTER}@bench.example` };
  const requests = [requestBytes({ method: 'POST', path: '/', body })];
  const job = { port, connections: 4, durationMs: 500, requests, expected: [201], firstCount: 7e6 };
  const result = await runLoad({ ...job, isTraced: true });
  const count = result.statuses['201'] ?? 0;
  t.true(count >= 4);
  t.is(bodies.length, count);
  t.is(new Set(bodies).size, count);
  t.true(bodies.includes('{"email":"new0007000000@bench.example"}'));
  t.is(new Set(result.answers.map((answer) => answer.count)).size, count);
  t.is(
    result.latencies.reduce((sum, some) => sum + some, 0),
    count,
  );
});

test('at a fixed rate the requests are as many as were due, and their wait counts', async (t) => {
  const port = await serve(t, (_req, res) => {
    setTimeout(() => res.end('{}'), 50);
  });
  const requests = [requestBytes({ path: '/' })];
  const job = { port, durationMs: 500, requests, expected: [200], perSecond: 100 };
  const [enough, few] = [
    await runLoad({ ...job, connections: 20 }),
    await runLoad({ ...job, connections: 1 }),
  ];
  t.is(enough.statuses['200'], 50);
  t.true(percentileMs(few.latencies, 0.99) > 200, 'one connection falls behind');
});

test('a server that closes connections after a response gets new ones', async (t) => {
  const port = await serve(t, (_req, res) => {
    res.setHeader('connection', 'close').end('{}');
  });
  const requests = [requestBytes({ path: '/' })];
  const { statuses } = await runLoad({
    port,
    connections: 2,
    durationMs: 2_000,
    requests,
    expected: [200],
  });
  t.true((statuses['200'] ?? 0) > 2);
});

test('an unexpected status and a broken connection end the load', async (t) => {
  const requests = [requestBytes({ path: '/' })];
  const job = { connections: 1, durationMs: 1_000, requests, expected: [200] };
  const refusing = await serve(t, (_req, res) => void res.writeHead(500).end());
  await t.throwsAsync(runLoad({ ...job, port: refusing }), { message: /status 500, not 200/ });
  const breaking = await serve(t, (req) => void req.socket.destroy());
  await t.throwsAsync(runLoad({ ...job, port: breaking }), { message: /in flight|ECONNRESET/ });
});
