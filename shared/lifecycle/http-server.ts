import type { Server, ServerResponse } from 'node:http';

/** The responses in flight of each server. */
const responsesInFlight = new WeakMap<Server, Set<ServerResponse>>();

/** Listens; resolves to the port. @throws when the address cannot be bound. */
export function listen(server: Server, port: number, host: string): Promise<number> {
  const inFlight = new Set<ServerResponse>();
  responsesInFlight.set(server, inFlight);
  server.prependListener('request', (req, res) => {
    inFlight.add(res);
    res.once('close', () => inFlight.delete(res));
    if (!server.listening) announceClose(res);
    // If the headers were sent before the stop began, they announced keep-alive: end the connection from here.
    res.once('finish', () => {
      if (!server.listening) req.socket.end();
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
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
    for (const res of responsesInFlight.get(server) ?? []) announceClose(res);
  });
}

/** Tells the client to send no further request on this connection. */
function announceClose(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close');
}
