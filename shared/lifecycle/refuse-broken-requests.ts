import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { AppError, problemDocument } from '../errors/app-error.js';
import type { ErrorCode } from '../errors/codes.js';
import type { Logger } from '../logging/logger.js';
import { newestResponsesOf } from './http-server.js';

/** How long a connection stays open for the client to read why it was refused (RFC 9112, 9.6). */
export const LINGER_MS = 1_000;

/** Statuses of requests that were refused before their handlers responded. */
const refusedStatuses = new WeakMap<ServerResponse, number>();

/** The status that was sent to the client; `undefined` when the response is not complete. */
export const sentStatusOf = (res: ServerResponse): number | undefined =>
  res.writableFinished ? res.statusCode : refusedStatuses.get(res);

interface Deps {
  readonly server: Server;
  readonly log: Logger;
  /** Those of every response, which no middleware sets here. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The id of a request which the server itself logs at its end, by {@link sentStatusOf}. Without it the id is what the
   * response has as `X-Request-Id`, and the refusal is logged here.
   */
  readonly idOfLogged?: (req: IncomingMessage) => string;
}

interface Refusal {
  readonly error: AppError;
  readonly parserError?: string | undefined;
}

/**
 * Makes a server respond with a problem document, and log it, where Node emits no request: malformed HTTP, clients that are
 * too slow, CONNECT. For an error in the body of a request, that is the response to the request. An error behind a complete
 * request waits for the response to it.
 */
export function refuseBrokenRequests(deps: Deps): void {
  const { server } = deps;
  const answers = newestResponsesOf(server);
  const refused = new WeakSet<Duplex>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // One response per connection: errors in the rest of its bytes are ignored.
    if (refused.has(socket)) return;
    const answer = answers.get(socket);
    const isInBody = answer?.writableFinished === false && !answer.req.complete;
    if (error.code === 'ECONNRESET' || !socket.writable || (isInBody && answer.headersSent)) {
      socket.destroy();
      return;
    }
    refused.add(socket);
    const refusal = { error: new AppError(codeOf(error.code)), parserError: error.code };
    if (isInBody) refuseRequest(deps, socket, answer, refusal);
    else refuseNext(deps, socket, answer, refusal);
  });
  server.on('connect', (_req, socket) => {
    ignoreErrors(socket);
    // Not a proxy: RFC 9110, 15.5.6 allows an empty `Allow` for a target without methods.
    const error = new AppError('method_not_allowed', { headers: { Allow: '' } });
    refuseNext(deps, socket, answers.get(socket), { error });
  });
  // An unknown expectation may be ignored (RFC 9110, 10.1.1); Node would respond without a problem document.
  server.on('checkExpectation', (req, res) => void server.emit('request', req, res));
}

/** Refuses a request whose body is broken, after the responses to those before it. */
function refuseRequest(deps: Deps, socket: Duplex, answer: ServerResponse, refusal: Refusal): void {
  const { headers, idOfLogged } = deps;
  const refuse = (): void => {
    const requestId =
      idOfLogged?.(answer.req) ?? String(answer.getHeader('X-Request-Id') ?? randomUUID());
    const { error, parserError } = refusal;
    // The client has gone, or only closed its side: it gets the response, but the request counts as aborted.
    if (parserError === 'HPE_INVALID_EOF_STATE') answer.statusCode = error.status;
    else {
      if (!idOfLogged) logRefusal(deps, requestId, refusal);
      refusedStatuses.set(answer, error.status);
    }
    // Ends the socket: what the handler responds from now on is not sent.
    refuseConnection(socket, error, requestId, headers);
  };
  if (answer.socket) refuse();
  else whenItsTurn(deps, socket, [answer, 'socket'], refuse);
}

/** Refuses what is no request, after the newest response. */
function refuseNext(
  deps: Deps,
  socket: Duplex,
  newest: ServerResponse | undefined,
  refusal: Refusal,
): void {
  const refuse = (): void => {
    const requestId = randomUUID();
    logRefusal(deps, requestId, refusal);
    refuseConnection(socket, refusal.error, requestId, deps.headers);
  };
  if (!newest || newest.writableFinished) refuse();
  else whenItsTurn(deps, socket, [newest, 'close'], refuse);
}

/** Waits for responses as long as for a request: a client that keeps sending is never idle, even if it reads nothing. */
function whenItsTurn(
  { server }: Deps,
  socket: Duplex,
  [answer, event]: readonly [ServerResponse, 'socket' | 'close'],
  refuse: () => void,
): void {
  const timer = setTimeout(() => socket.destroy(), server.requestTimeout);
  socket.once('close', () => clearTimeout(timer));
  answer.once(event, () => {
    clearTimeout(timer);
    if (socket.writable) refuse();
  });
}

function logRefusal({ log }: Deps, requestId: string, { error, parserError }: Refusal): void {
  log.info(
    {
      'http.request.id': requestId,
      'http.response.status_code': error.status,
      'error.code': parserError,
    },
    'malformed request rejected',
  );
}

function codeOf(parserError: string | undefined): ErrorCode {
  if (parserError === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  if (parserError === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout';
  return 'malformed_request';
}

/** The client may disconnect at any time. */
const ignoreErrors = (socket: Duplex): void => void socket.on('error', () => undefined);

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
  ignoreErrors(socket);
  socket.end([status, ...lines, '', body].join('\r\n'));
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}
