import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorRequestHandler } from 'express';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import { AppError, problemDocument } from '../../shared/errors/app-error.js';
import type { ErrorCode } from '../../shared/errors/codes.js';
import { LINGER_MS } from '../../shared/lifecycle/refuse-broken-requests.js';
import { formOf, markup, renderPage, type Html, type Page } from './page.js';
import { contextOf } from './request-context.js';

/** The challenge of every 401 (RFC 6750, section 3). */
export const BEARER_CHALLENGE = 'Bearer realm="rollcall"';

const RETRY_AFTER_SECONDS = '2';
const LINGER_BYTES = 1_024 * 1_024;

/** The error handler of the app: answers as {@link answerProblem}. */
export const problemHandler: ErrorRequestHandler = (thrown: unknown, req, res, _next) =>
  answerProblem(thrown, req, res);

/** Answers with a problem document. Errors that are not meant for clients are logged and answered as `internal`. */
export function answerProblem(thrown: unknown, req: IncomingMessage, res: ServerResponse): void {
  const { requestId } = contextOf(req);
  const error = reportedError(thrown, req);
  if (res.headersSent) {
    // Too late for an answer: the client must not take the beginning for the whole.
    res.destroy();
    return;
  }
  setErrorHeaders(res, error);
  res.statusCode = error.status;
  const form = formOf(req);
  const body = form
    ? renderPage(res, problemPage(error, form, requestId))
    : renderProblem(res, error, requestId);
  res.setHeader('Content-Length', body.length);
  if (error.code === 'payload_too_large' || 'Connection' in error.headers)
    sendAndClose(req, res, body);
  else res.end(body);
}

/** Sets the headers of an error. RFC 9110, 15.5.2: every 401 says how to authenticate. */
export function setErrorHeaders(res: ServerResponse, { status, headers }: AppError): void {
  if (status === 401) res.setHeader('WWW-Authenticate', BEARER_CHALLENGE);
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
}

/** What the client may know of an error; what is meant for operators alone is logged. */
export function reportedError(thrown: unknown, req: IncomingMessage): AppError {
  const { log, whenUnavailable } = contextOf(req);
  const error = asAppError(thrown);
  if (error.code === 'internal') log.error({ err: thrown }, 'request failed');
  else if (error.code === 'unavailable') {
    log.warn({ err: thrown }, 'service unavailable');
    whenUnavailable?.();
  }
  return error;
}

function renderProblem(res: ServerResponse, error: AppError, requestId: string): Buffer {
  res.setHeader('Content-Type', 'application/problem+json');
  return Buffer.from(JSON.stringify(problemDocument(error, requestId)));
}

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

/** Express and its middleware throw errors with a `status`; any 4xx is the client's fault. */
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

const TRY_LATER = 'Nothing has been changed. Please go back and try again in a moment.';
const CHECK_INPUT =
  'Nothing has been changed. Please go back, check what you entered, and try again.';

/** What the page says for errors that the person can correct; {@link otherWords} has all others. */
const words: Partial<Record<ErrorCode, { readonly title: string; readonly text: string }>> = {
  malformed_request: { title: 'We could not read what was sent', text: CHECK_INPUT },
  validation_failed: { title: 'Something is missing or not valid', text: CHECK_INPUT },
  payload_too_large: { title: 'The form is too large', text: CHECK_INPUT },
  unsupported_media_type: { title: 'We could not read what was sent', text: CHECK_INPUT },
};

/** The error page for a person who has submitted a form. */
function problemPage(error: AppError, form: Html, requestId: string): Page {
  const { title, text } = words[error.code] ?? otherWords(error);
  return {
    title,
    body: markup`<p>${text}</p>
<h2>Or start again</h2>
${form}
<p class="soft">If the problem persists, give the operators this request ID: ${requestId}</p>`,
  };
}

function otherWords(error: AppError): { title: string; text: string } {
  if (error.code !== 'too_many_attempts') return { title: 'That did not work', text: TRY_LATER };
  return {
    title: 'Too many attempts',
    text: `Nothing has been changed. Please try again in ${retryTimeOf(error)}.`,
  };
}

/** How long to wait before the next attempt: `a minute`, `14 minutes`. */
export function retryTimeOf({ headers }: AppError): string {
  const minutes = Math.max(1, Math.ceil(Number(headers['Retry-After'] ?? 60) / 60));
  return minutes === 1 ? 'a minute' : `${minutes} minutes`;
}

const closing = new WeakSet<Socket>();

/** True when a connection has got its last answer: requests that follow on it are not served (RFC 9112, 9.6). */
export const isClosing = ({ socket }: IncomingMessage): boolean => closing.has(socket);

/**
 * Answers a request whose body is not read, and closes the connection. The response is sent at once, but the connection
 * stays open until the client has sent everything or closed it, for at most a second or a mebibyte: closed while data
 * arrive, it would be reset, and the client would never see the response (RFC 9112, section 9.6).
 */
function sendAndClose(req: IncomingMessage, res: ServerResponse, body: Buffer): void {
  closing.add(req.socket);
  res.setHeader('Connection', 'close');
  res.write(body);
  // Otherwise at the end of the turn, which is too late when what comes next cannot be parsed.
  req.socket.uncork();
  let bytes = 0;
  const end = (): void => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LINGER_BYTES) end();
  });
  for (const event of ['end', 'error', 'close']) req.once(event, end);
}
