import { createServer, type RequestListener, type Server } from 'node:http';
import { closeServer as closeWithin, listen } from '../../shared/lifecycle/http-server.js';
import { refuseBrokenRequests } from '../../shared/lifecycle/refuse-broken-requests.js';
import type { Logger } from '../../shared/logging/logger.js';

export { listen };

/** Longer than an AWS load balancer keeps an idle connection (60 s), or it would meet closed ones and answer 502. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** A client that takes nothing of its answer is cut off after this or, by the way Node counts, twice this. */
const STALL_TIMEOUT_MS = 20_000;
const CHECK_INTERVAL_MS = 1_000;
const MAX_HEADER_BYTES = 8 * 1_024;
/** Far above what one process serves, and below what the system lets it open. */
const MAX_CONNECTIONS = 10_000;
/** Longer than any answer takes; what is left of the time to stop belongs to the logs. */
const CUT_AFTER_MS = 8_000;

/**
 * An HTTP server that cuts slow clients off and answers even broken requests with a problem document.
 * @param headers what every answer bears; Express, which sets them otherwise, never sees these requests.
 */
export function createHttpServer(
  listener: RequestListener,
  log: Logger,
  headers: Readonly<Record<string, string>>,
): Server {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      // Node would answer without a problem document; the request guard looks for the header.
      requireHostHeader: false,
    },
    listener,
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(STALL_TIMEOUT_MS);
  refuseBrokenRequests(server, log, headers);
  return server;
}

/** Takes no more requests; resolves when those under way are answered, or cut off after eight seconds. */
export const closeServer = (server: Server): Promise<void> => closeWithin(server, CUT_AFTER_MS);
