import type { NextFunction, Request, Response } from 'express';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import { AppError, problemDocument } from '../../shared/errors/app-error.js';
import type { ErrorCode } from '../../shared/errors/codes.js';
import { sendAndHangUp } from './hang-up.js';
import { renderPage, wayOnOf } from './page.js';
import { problemPage } from './problem-page.js';
import { contextOf } from './request-context.js';

/** What a 401 asks for (RFC 6750, section 3). */
export const BEARER_CHALLENGE = 'Bearer realm="rollcall"';

const RETRY_AFTER_SECONDS = '2';

/** The only place that answers with an error. What is not meant for clients is logged and answered as `internal`. */
export function problemHandler(
  thrown: unknown,
  req: Request,
  res: Response,
  next: NextFunction,
): void {
  const { log, requestId } = contextOf(req);
  const error = asAppError(thrown);
  if (error.code === 'internal') log.error({ err: thrown }, 'request failed');
  else if (error.code === 'unavailable') log.warn({ err: thrown }, 'service unavailable');
  if (res.headersSent) {
    next(thrown);
    return;
  }
  // RFC 9110, 15.5.2: every 401 says how to authenticate.
  if (error.status === 401) res.setHeader('WWW-Authenticate', BEARER_CHALLENGE);
  for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value);
  res.status(error.status);
  const wayOn = wayOnOf(req);
  const body = wayOn
    ? renderPage(res, problemPage(error, wayOn, requestId))
    : renderProblem(res, error, requestId);
  if (error.code === 'payload_too_large') sendAndHangUp(req, res, body);
  else res.send(body);
}

/** As bytes: Express would add a charset, which JSON does not have (RFC 8259, section 11). */
function renderProblem(res: Response, error: AppError, requestId: string): Buffer {
  res.setHeader('Content-Type', 'application/problem+json');
  return Buffer.from(JSON.stringify(problemDocument(error, requestId)));
}

/** What a thrown thing means to a client. */
function asAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isDatabaseUnavailable(thrown)) {
    return new AppError('unavailable', {
      cause: thrown,
      headers: { 'Retry-After': RETRY_AFTER_SECONDS },
    });
  }
  const code = codeOfHttpError(thrown);
  return new AppError(code, { cause: thrown });
}

/** Express and its parts throw errors that bear a status; one of 4xx is the request's fault, whichever it is. */
function codeOfHttpError(thrown: unknown): ErrorCode {
  if (typeof thrown !== 'object' || thrown === null || !('status' in thrown)) return 'internal';
  const { status } = thrown;
  switch (status) {
    case 404:
      return 'not_found';
    case 413:
      return 'payload_too_large';
    case 415:
      return 'unsupported_media_type';
    default:
      return Number(status) >= 400 && Number(status) < 500 ? 'malformed_request' : 'internal';
  }
}
