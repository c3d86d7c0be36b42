import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import type { Request, Response } from 'express';
import { jsonBody, MAX_BODY_BYTES } from '../../api/http/input/body.js';
import { eventually } from '../helpers/eventually.js';
import { openConnection } from '../helpers/raw-http.js';

test('reading a body ends when its client leaves, before it is read or meanwhile', async (t) => {
  const errors: unknown[] = [];
  const [readBody] = jsonBody(MAX_BODY_BYTES);
  const server = createServer((req, res) => {
    const hasLeft = new Promise((resolve) => {
      if (req.url === '/late') req.once('close', resolve);
      else resolve(undefined);
    });
    void hasLeft
      .then(() => readBody?.(req as Request, res as Response, () => errors.push('read')))
      .catch((error: unknown) => errors.push(error));
  });
  server.listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const path of ['/', '/late']) {
    const socket = await openConnection(`http://127.0.0.1:${port}`);
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{`,
    );
    await once(server, 'request');
    socket.destroy();
  }
  await eventually(() => errors.length === 2);
  for (const error of errors) t.like(error, { code: 'malformed_request' });
});

test('a body takes no more memory for arriving byte by byte, and is whole in the end', async (t) => {
  const [readBody] = jsonBody(MAX_BODY_BYTES);
  const bodies: unknown[] = [];
  let arrived = 0;
  const server = createServer((req, res) => {
    req.on('data', (piece: Buffer) => (arrived += piece.length));
    Promise.resolve(
      readBody?.(req as Request, res as Response, () => bodies.push((req as Request).body)),
    ).catch((error: unknown) => bodies.push(error));
  });
  server.listen(0, '127.0.0.1');
  t.teardown(() => {
    server.close();
    // No request is answered.
    server.closeAllConnections();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const text = JSON.stringify({ text: 'x'.repeat(15_000) });
  const pieces = [...text].map((character) => `1\r\n${character}\r\n`);
  const last = pieces.pop() ?? '';
  const head =
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
  const before = heapMib();
  const sockets = await Promise.all(
    Array.from({ length: 20 }, () => openConnection(`http://127.0.0.1:${port}`)),
  );
  for (const socket of sockets) socket.write(`${head}${pieces.join('')}`);
  await eventually(() => arrived === sockets.length * (text.length - 1));
  const taken = heapMib() - before;
  t.true(taken < 20, `${taken} MiB for ${(arrived / 1_048_576).toFixed(1)} MiB`);
  for (const socket of sockets) socket.end(`${last}0\r\n\r\n`);
  await eventually(() => bodies.length === sockets.length);
  for (const body of bodies) t.deepEqual(body, JSON.parse(text));
});

/** What is alive, in MiB. */
function heapMib(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1_048_576;
}
