import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { deadlines } from '../../shared/lifecycle/deadlines.js';
import { closeServer } from '../../shared/lifecycle/http-server.js';
import { refuseBrokenRequests } from '../../shared/lifecycle/refuse-broken-requests.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { MessageClasses } from './message-classes.js';
import { contextOf } from './request-context.js';

const HEADERS_TIMEOUT_MS = 10_000;
/** A client that does not read its response is disconnected after this or, as Node counts, at most twice this. */
const STALL_TIMEOUT_MS = 20_000;
const CHECK_INTERVAL_MS = 1_000;
const MAX_HEADER_BYTES = 8 * 1_024;
/** Far above what one process serves, and below its limit of open files. */
const MAX_CONNECTIONS = 10_000;
/** Longer than any response takes; the rest of the shutdown deadline is for the logs. */
const DRAIN_TIMEOUT_MS = 8_000;

/** How long a client may take, and how often that is checked. */
export interface ServerTimeouts {
  readonly headersTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
  readonly checkIntervalMs?: number;
}

/** What answers the requests of a server. */
export interface Listener {
  /** Opens a context for each request. */
  readonly onRequest: RequestListener;
  /** Node's own by default. */
  readonly messages?: MessageClasses;
}

/**
 * An HTTP server that disconnects slow clients and answers malformed requests with a problem document.
 * @param headers for the responses to malformed requests, which never reach Express.
 */
export function createHttpServer(
  { onRequest, messages }: Listener,
  log: Logger,
  headers: Readonly<Record<string, string>>,
  timeouts: ServerTimeouts = {},
): Server {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: timeouts.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      requestTimeout: timeouts.requestTimeoutMs ?? deadlines.api.requestMs,
      connectionsCheckingInterval: timeouts.checkIntervalMs ?? CHECK_INTERVAL_MS,
      keepAliveTimeout: deadlines.api.keepAliveMs,
      // Node would answer without a problem document; the request guard checks the header.
      requireHostHeader: false,
      ...messages,
    },
    onRequest,
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(timeouts.stallTimeoutMs ?? STALL_TIMEOUT_MS);
  const idOfLogged = (req: IncomingMessage): string => contextOf(req).requestId;
  refuseBrokenRequests({ server, log, headers, idOfLogged });
  return server;
}

/** Stops listening; resolves when requests in flight are answered, or aborted after eight seconds. */
export const closeApiServer = (server: Server): Promise<void> =>
  closeServer(server, DRAIN_TIMEOUT_MS);
