import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import type { Request, Response } from 'express';
import { jsonBody, NORMAL_BODY } from '../../api/http/input/body.js';
import { shareProcess } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { openConnection } from '../helpers/raw-http.js';

shareProcess();

test('reading a body ends when its client leaves, before it is read or meanwhile', async (t) => {
  const errors: unknown[] = [];
  const [readBody] = jsonBody(NORMAL_BODY);
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
