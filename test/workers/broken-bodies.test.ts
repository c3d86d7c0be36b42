import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { openWorkerHttp } from '../../workers/http/http.js';
import { shareProcess } from '../helpers/context.js';
import { createRecordingLogger } from '../helpers/log.js';
import { exchange } from '../helpers/raw-http.js';

shareProcess();

test('a request whose body is broken is refused under its own id, and not logged as aborted', async (t) => {
  const { log, lines } = createRecordingLogger();
  const http = await openWorkerHttp(
    {
      log,
      tasks: { run: async () => t.fail('it was run'), stop: async () => undefined },
      sesEvents: { receive: async () => 'ignored' as const },
      checks: {},
      metrics: createMetrics('worker'),
      metricsToken: undefined,
      isStopping: () => false,
      drainState: () => 'working',
    },
    { host: '127.0.0.1', port: 0 },
  );
  t.teardown(() => http.close());
  const sockets: Socket[] = [];
  const onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    if (socket.localPort === http.port) sockets.push(socket);
  };
  subscribe('net.server.socket', onSocket);
  t.teardown(() => unsubscribe('net.server.socket', onSocket));
  const requestId = 'probe-bad-chunk';
  const { status, headers } = await exchange(
    `http://127.0.0.1:${http.port}`,
    `POST /tasks/sweep-outbox HTTP/1.1\r\nX-Request-Id: ${requestId}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
  );
  t.deepEqual([status, headers.get('x-request-id')], [400, requestId]);
  // The connection has ended for the server and the handler, too.
  const [socket] = sockets;
  if (socket?.closed === false) await once(socket, 'close');
  await setImmediate();
  t.is(lines.length, 1);
  t.like(lines[0], {
    msg: 'malformed request rejected',
    'http.request.id': requestId,
    'http.response.status_code': 400,
    'error.code': 'HPE_INVALID_CHUNK_SIZE',
  });
});
