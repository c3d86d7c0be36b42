import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler } from 'express';
import { AppError } from '../../shared/errors/app-error.js';

/**
 * Refuses a change whose precondition is false (RFC 9110, 13.1): nothing here has an entity tag, so no tag matches. Comes
 * last before the change is looked at (13.2.1): a body is checked by its reader, a change without one needs
 * {@link precondition}, and one of a thing that may be missing {@link findBeforePrecondition} before either. Dates are
 * ignored (13.1.3, 13.1.4), as no modification date is known outside.
 * @throws {AppError} `precondition_failed`
 */
export function requirePrecondition(req: IncomingMessage): void {
  if (!isTrue(req)) throw new AppError('precondition_failed');
}

/** {@link requirePrecondition} for a route without a body. */
export const precondition: RequestHandler = (req, _res, next) => {
  requirePrecondition(req);
  next();
};

/**
 * Looks for the thing that a change under a false precondition is about: a precondition counts only where the change would
 * be made without it (RFC 9110, 13.2.1). Other changes find out by themselves.
 * @param find throws for a thing that there is not, and for a bad id.
 */
export const findBeforePrecondition =
  (find: (req: Request) => Promise<void>): RequestHandler =>
  async (req, _res, next) => {
    if (!isTrue(req)) await find(req);
    next();
  };

function isTrue({ method, headers }: IncomingMessage): boolean {
  const isMatch = (headers['if-match'] ?? '*') === '*';
  const isAbsent = headers['if-none-match'] !== '*' || method === 'POST';
  return isMatch && isAbsent;
}
