import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { AppError } from '../../shared/errors/app-error.js';

/**
 * Refuses a change whose precondition is false (RFC 9110, 13.1): nothing here has an entity tag, so no tag matches. Comes
 * last before the change is looked at (13.2.1): a body is checked by its reader, a change without one needs
 * {@link precondition}. Dates are ignored (13.1.3, 13.1.4), as no modification date is known outside.
 * @throws {AppError} `precondition_failed`
 */
export function requirePrecondition({ method, headers }: IncomingMessage): void {
  const isMatch = (headers['if-match'] ?? '*') === '*';
  const isAbsent = headers['if-none-match'] !== '*' || method === 'POST';
  if (!(isMatch && isAbsent)) throw new AppError('precondition_failed');
}

/** {@link requirePrecondition} for a route without a body. */
export const precondition: RequestHandler = (req, _res, next) => {
  requirePrecondition(req);
  next();
};
