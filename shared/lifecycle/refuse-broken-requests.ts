import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { AppError, problemDocument } from '../errors/app-error.js';
import type { ErrorCode } from '../errors/codes.js';
import type { Logger } from '../logging/logger.js';
import { newestResponsesOf } from './http-server.js';

const LINGER_MS = 1_000;

/**
 * Makes a server respond with a problem document, and log it, where Node emits no request: malformed HTTP, clients that are
 * too slow, CONNECT.
 * @param headers those of every response, which no middleware sets here.
 */
export function refuseBrokenRequests(
  server: Server,
  log: Logger,
  headers: Readonly<Record<string, string>>,
): void {
  const answers = newestResponsesOf(server);
  const refuse = (socket: Duplex, refusal: AppError, parserError?: string): void => {
    const requestId = randomUUID();
    log.info(
      {
        'http.request.id': requestId,
        'http.response.status_code': refusal.status,
        'error.code': parserError,
      },
      'malformed request rejected',
    );
    refuseConnection(socket, refusal, requestId, headers);
  };
  const refused = new WeakSet<Duplex>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // One response per connection: errors in the rest of its bytes are ignored.
    if (refused.has(socket)) return;
    const answer = answers.get(socket);
    const isInAnswer = answer?.headersSent === true && !answer.writableFinished;
    if (error.code === 'ECONNRESET' || !socket.writable || isInAnswer) {
      socket.destroy();
      return;
    }
    refused.add(socket);
    refuse(socket, new AppError(codeOf(error.code)), error.code);
  });
  // Not a proxy: RFC 9110, 15.5.6 allows an empty `Allow` for a target without methods.
  server.on('connect', (_req, socket) =>
    refuse(socket, new AppError('method_not_allowed', { headers: { Allow: '' } })),
  );
  // An unknown expectation may be ignored (RFC 9110, 10.1.1); Node would respond without a problem document.
  server.on('checkExpectation', (req, res) => void server.emit('request', req, res));
}

function codeOf(parserError: string | undefined): ErrorCode {
  if (parserError === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  if (parserError === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout';
  return 'malformed_request';
}

/**
 * Responds and closes the connection: this side at once, both sides after a second even if the client does not close its own.
 */
function refuseConnection(
  socket: Duplex,
  refusal: AppError,
  requestId: string,
  headers: Readonly<Record<string, string>>,
): void {
  const body = JSON.stringify(problemDocument(refusal, requestId));
  const allHeaders = {
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    Date: new Date().toUTCString(),
    ...headers,
    ...refusal.headers,
    'X-Request-Id': requestId,
    Connection: 'close',
  };
  const lines = Object.entries(allHeaders).map(([name, value]) => `${name}: ${value}`);
  const status = `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`;
  // The client may disconnect at any time.
  socket.on('error', () => undefined);
  socket.end([status, ...lines, '', body].join('\r\n'));
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}
