import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import express from 'express';
import test from 'ava';
import { createStreams } from '../../api/console/live/streams.js';
import { shareProcess } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';

shareProcess();

test('a client that does not read its live updates is cut off; another goes on', async (t) => {
  const streams = createStreams();
  // More than the kernel buffers for a connection.
  const html = 'x'.repeat(16 * 1_024 * 1_024);
  let turns = 0;
  const render = () => {
    turns += 1;
    return Promise.resolve([{ id: 'part', html: `${turns}${html}` }]);
  };
  const closed = new Set<string>();
  const app = express();
  app.get('/:name', (req, res) => {
    streams.add({ res, page: 'any', sessionId: 1, isAllowed: () => Promise.resolve(true) }, render);
    res.once('close', () => closed.add(req.params.name));
    res.write('retry: 5000\n\n');
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(async () => {
    await streams.close();
    server.closeAllConnections();
    server.close();
  });
  const open = (name: string): Socket => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    // It is cut off, which is the point.
    socket.on('error', () => socket.destroy());
    socket.write(`GET /${name} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    t.teardown(() => socket.destroy());
    return socket;
  };
  let read = 0;
  open('reader').on('data', (chunk) => (read += chunk.length));
  open('idle').pause();
  await eventually(() => closed.has('idle'));
  const before = read;
  await eventually(() => read > before + html.length);
  t.deepEqual([...closed], ['idle']);
});
