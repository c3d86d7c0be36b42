import { AppError, problemDocument } from '../../shared/errors/app-error.js';
import type { ErrorCode } from '../../shared/errors/codes.js';

/** What a request to the worker is answered with. */
export interface Answer {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** RFC 9457. */
export function problem(
  what: ErrorCode | AppError,
  requestId: string,
  headers: Record<string, string> = {},
): Answer {
  const error = what instanceof AppError ? what : new AppError(what);
  return {
    status: error.status,
    headers: { 'Content-Type': 'application/problem+json', ...error.headers, ...headers },
    body: problemDocument(error, requestId),
  };
}

/** The right path with a wrong method. */
export const notAllowed = (allow: string, requestId: string): Answer =>
  problem('method_not_allowed', requestId, { Allow: allow });

/** Nobody reads the rest of the body, so the connection cannot be used again. */
export const tooLarge = (requestId: string): Answer =>
  problem('payload_too_large', requestId, { Connection: 'close' });
