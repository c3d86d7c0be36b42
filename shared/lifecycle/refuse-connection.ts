import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AppError } from '../errors/app-error.js';
import { problemDocument } from '../errors/problem-document.js';

const LINGER_MS = 1_000;

/**
 * Answers what never became a request, and closes the connection: at once on this side, and after a second altogether,
 * whether the client closes its side or not.
 */
export function refuseConnection(
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
  // Whoever is refused may hang up at any time.
  socket.on('error', () => undefined);
  socket.end([status, ...lines, '', body].join('\r\n'));
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}
