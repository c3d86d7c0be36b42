import type { IncomingMessage } from 'node:http';
import { AppError, problemDocument } from '../../shared/errors/app-error.js';
import type { ErrorCode } from '../../shared/errors/codes.js';

/** The response to a request to the worker. */
export interface WorkerResponse {
  readonly status: number;
  /** An object is sent as JSON, a text as it is. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** With every 503. */
export const RETRY_SOON = { 'Retry-After': '5' };

/** A problem document (RFC 9457). */
export function problem(
  what: ErrorCode | AppError,
  requestId: string,
  headers: Record<string, string> = {},
): WorkerResponse {
  const error = what instanceof AppError ? what : new AppError(what);
  return {
    status: error.status,
    headers: { 'Content-Type': 'application/problem+json', ...error.headers, ...headers },
    body: problemDocument(error, requestId),
  };
}

export const notAllowed = (allow: string, requestId: string): WorkerResponse =>
  problem('method_not_allowed', requestId, { Allow: allow });

/** Closes the connection, since the rest of the body is not read. */
export const tooLarge = (requestId: string): WorkerResponse =>
  problem('payload_too_large', requestId, { Connection: 'close' });

/** Reads a request's body. Resolves to `undefined`, without reading the rest, for one larger than `maxBytes`. */
export async function readBody(
  req: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
