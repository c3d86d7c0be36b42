import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const newestResponses = new WeakMap<Server, ReadonlyMap<Duplex, ServerResponse>>();
const MAX_QUEUED_RESPONSES = 10;
/** How many responses of a connection wait for the one before them. */
const queuedResponses = new WeakMap<Duplex, number>();

/**
 * The newest response on each open connection of a server, from the first call on. Not a set of those in flight: one whose
 * members change with every request keeps most requests in memory until the next full collection, since V8's outgrown hash
 * tables keep a reference to the new one.
 */
export function newestResponsesOf(server: Server): ReadonlyMap<Duplex, ServerResponse> {
  const known = newestResponses.get(server);
  if (known) return known;
  const newest = new Map<Duplex, ServerResponse>();
  newestResponses.set(server, newest);
  server.on('connection', (socket) => socket.once('close', () => newest.delete(socket)));
  server.prependListener('request', ({ socket }, res) => {
    if (hasToWait(res)) queue(res, socket);
    newest.set(socket, res);
  });
  return newest;
}

/**
 * True while a pipelined request must not be processed: an answer before it on its connection has not ended. Its response gets
 * its socket, with the event `socket`, when its turn has come. Requests that change nothing could be processed in parallel (RFC
 * 9112, 9.3.2), but Node tells a response that is queued neither that its client has gone nor that it is not read.
 */
export const hasToWait = (res: ServerResponse): boolean => res.socket === null;

/**
 * Reads no further from a connection on which many responses wait, or one to a request with a body, which would be kept unread:
 * one client must not make this process keep much. Below that it reads on, so that it sees when a client has gone.
 */
function queue(res: ServerResponse, socket: Duplex): void {
  const count = (by: number): number => {
    const queued = (queuedResponses.get(socket) ?? 0) + by;
    queuedResponses.set(socket, queued);
    return queued;
  };
  if (count(1) >= MAX_QUEUED_RESPONSES || hasBody(res.req)) holdBack(socket);
  res.once('socket', () => {
    if (count(-1) === 0) readOn(socket);
  });
}

function holdBack(socket: Duplex): void {
  socket.pause();
  // Node reads on at the end of each request, whoever has paused the connection.
  socket.resume = () => socket;
}

function readOn(socket: Duplex): void {
  Reflect.deleteProperty(socket, 'resume');
  socket.resume();
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/**
 * Listens; resolves to the port.
 * @param variables those that the address is from.
 * @throws when the address cannot be bound, and names them.
 */
export function listen(
  server: Server,
  port: number,
  host: string,
  variables = 'HOST and PORT',
): Promise<number> {
  newestResponsesOf(server);
  server.prependListener('request', (_req, res) => {
    if (!server.listening) res.setHeader('Connection', 'close');
  });
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      error.message = `cannot listen on ${variables}: ${error.message}`;
      reject(error);
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/**
 * Accepts no more connections; resolves when all are closed. Idle connections are closed at once, the others after their
 * response in flight, and whatever is left after `cutAfterMs` is destroyed: a client that keeps its connection open, or
 * never finishes its request, must not use up the time that the rest of the shutdown needs. May be called twice, and
 * before `listen`.
 */
export function closeServer(server: Server, cutAfterMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), cutAfterMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    for (const [socket, res] of newestResponsesOf(server)) closeAfter(res, socket);
  });
}

/** Closes a connection after its response in flight; if possible, the response says so. */
function closeAfter(res: ServerResponse, socket: Duplex): void {
  if (!res.headersSent) res.setHeader('Connection', 'close');
  else if (!res.writableFinished) res.once('finish', () => socket.end());
}
