import type { Server, ServerResponse } from 'node:http';

/** The answers that each server owes. */
const answersOwed = new WeakMap<Server, Set<ServerResponse>>();

/** Listens; resolves to the port. @throws when the address cannot be listened on. */
export function listen(server: Server, port: number, host: string): Promise<number> {
  const owed = new Set<ServerResponse>();
  answersOwed.set(server, owed);
  server.prependListener('request', (req, res) => {
    owed.add(res);
    res.once('close', () => owed.delete(res));
    if (!server.listening) sayLast(res);
    // Whose headers were sent before the stop began has been promised a connection that stays.
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
 * Takes no more connections; resolves when all are closed. Idle ones are closed now, the others with the answer that is
 * under way on them, and what is left after so many milliseconds is cut: a client that holds its connection open, or
 * never finishes its request, must not use up the time that the rest of the stop needs. Safe twice and early.
 */
export function closeServer(server: Server, cutAfterMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), cutAfterMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    for (const res of answersOwed.get(server) ?? []) sayLast(res);
  });
}

/** The client shall not send another request on this connection. */
function sayLast(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close');
}
