import { isUtf8 } from 'node:buffer';
import type { RequestHandler } from 'express';
import { AppError } from '../../shared/errors/app-error.js';

const MAX_URL_LENGTH = 2_048;
const MAX_HEADERS = 100;
/** Four times what browsers send. A longer header is ignored, as RFC 9110 allows (12.5.1): parsing a thousand types is slow. */
const MAX_ACCEPT_LENGTH = 512;
/** Node keeps the first of these and drops the rest, so a proxy may have read another one: request smuggling. */
const SINGLE_HEADERS = new Set(['host', 'authorization', 'content-type']);
/**
 * No response is cacheable, so conditional and range requests are answered in full, as RFC 9110 allows (13.1, 14.2).
 * Express would answer 304 to `*`, and fail where a file's precondition is not met.
 */
const IGNORED_HEADERS = [
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'if-range',
  'range',
] as const;

/** Rejects ambiguous and oversized requests before anything parses them. */
export const requestGuard: RequestHandler = (req, _res, next) => {
  if ((req.headers.accept?.length ?? 0) > MAX_ACCEPT_LENGTH) delete req.headers.accept;
  if (req.originalUrl.length > MAX_URL_LENGTH) throw new AppError('uri_too_long');
  requireEncodedQuery(req.originalUrl);
  if (req.rawHeaders.length > 2 * MAX_HEADERS) throw new AppError('headers_too_large');
  const seen = new Set<string>();
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]?.toLowerCase() ?? '';
    if (SINGLE_HEADERS.has(name) && seen.has(name)) {
      throw new AppError('malformed_request', { detail: `The header ${name} may be sent once.` });
    }
    seen.add(name);
  }
  if (req.httpVersion === '1.1' && !seen.has('host'))
    throw new AppError('malformed_request', { detail: 'The header host is missing.' });
  for (const name of IGNORED_HEADERS) delete req.headers[name];
  next();
};

/** The router decodes the path, and rejects the same. */
function requireEncodedQuery(url: string): void {
  const query = url.slice(url.indexOf('?') + 1);
  if (url.includes('?') && !(/^[\x20-\x7e]*$/.test(query) && isEncodedUtf8(query)))
    throw new AppError('malformed_request', { detail: 'The query is not percent-encoded UTF-8.' });
}

/**
 * True when the percent-encoded bytes of a query or a form are UTF-8, and so is the rest. Decoders replace other bytes by
 * U+FFFD, which nobody can type again.
 */
export const isEncodedUtf8 = (text: string): boolean =>
  [...text.matchAll(/(?:%[0-9a-f]{2})+/gi)].every(([bytes]) =>
    isUtf8(Buffer.from(bytes.replaceAll('%', ''), 'hex')),
  );
