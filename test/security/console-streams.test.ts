import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import express from 'express';
import test, { type ExecutionContext } from 'ava';
import { createStreams, type RenderPage } from '../../api/console/live/streams.js';
import { shareProcess } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';

shareProcess();

test('a client that does not read its live updates is cut off; another goes on', async (t) => {
  // More than the kernel buffers for a connection.
  const html = 'x'.repeat(16 * 1_024 * 1_024);
  let turns = 0;
  const render = () => {
    turns += 1;
    return Promise.resolve([{ id: 'part', html: `${turns}${html}` }]);
  };
  const closed = new Set<string>();
  const { port } = await serveStreams(t, render, closed);
  const open = (name: string): Socket => {
    const socket = connect(port, '127.0.0.1');
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

test('an update without any change tells the time of the server too, from which ages count', async (t) => {
  const { port } = await serveStreams(t, () => Promise.resolve([]));
  const [, data = ''] = (await readEvent(port, 'parts')) ?? [];
  const { now, parts } = JSON.parse(data) as { now: string; parts: unknown };
  t.deepEqual(parts, []);
  t.true(Math.abs(Date.parse(now) - Date.now()) < 60_000, now);
});

test('a page that cannot be rendered is told so, and the log once, until it can be again', async (t) => {
  let turns = 0;
  const render = () => {
    turns += 1;
    return turns <= 2 ? Promise.reject(new Error('cannot be read')) : Promise.resolve([]);
  };
  const { port, lines } = await serveStreams(t, render);
  t.truthy(await readEvent(port, 'unknown'));
  t.truthy(await readEvent(port, 'parts'));
  t.like(lines, [{ msg: 'live update failed', 'labels.page': 'any' }]);
  t.is(lines.length, 1);
});

test('a client that goes while its session is asked for takes no place', async (t) => {
  const { port, added } = await serveStreams(t, () => Promise.resolve([]));
  const open = async (name: string): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.write(`GET /${name} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(socket, 'data');
    return socket;
  };
  // As many as one session may have open.
  for (let count = 1; count <= 6; count += 1) {
    (await open('goes')).destroy();
    await eventually(() => added.length === count);
  }
  await open('stays');
  t.true(added.at(-1));
});

const events = {
  parts: /event: parts\ndata: (.*)\n/,
  unknown: /event: unknown\ndata: (.*)\n/,
};

/** Follows a stream until an event of this name comes. */
async function readEvent(port: number, name: keyof typeof events): Promise<RegExpExecArray | null> {
  const { body } = await fetch(`http://127.0.0.1:${port}/reader`);
  let text = '';
  for await (const chunk of body ?? []) {
    text += Buffer.from(chunk).toString();
    const found = events[name].exec(text);
    if (found) return found;
  }
  return null;
}

/**
 * Serves streams of a page, the one named `goes` once its client has gone.
 * @param closed gets the names of those that have ended.
 */
async function serveStreams(t: ExecutionContext, render: RenderPage, closed = new Set<string>()) {
  const { log, lines } = createRecordingLogger();
  const streams = createStreams(log);
  const added: boolean[] = [];
  const app = express();
  app.get('/:name', (req, res) => {
    const { name } = req.params;
    const stream = { res, page: 'any', sessionId: 1, isAllowed: () => Promise.resolve(true) };
    const add = (): void => void added.push(streams.add(stream, render));
    if (name === 'goes') res.once('close', add);
    else add();
    res.once('close', () => closed.add(name));
    res.write('retry: 5000\n\n');
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(async () => {
    await streams.close();
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, lines, added };
}
