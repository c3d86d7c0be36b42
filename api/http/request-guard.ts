import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { AppError } from '../../shared/errors/app-error.js';

const MAX_URL_LENGTH = 2_048;
const MAX_HEADERS = 100;
const MAX_PORT = 65_535;
/** Four times what browsers send. A longer header is ignored, as RFC 9110 allows (12.5.1): parsing a thousand types is slow. */
const MAX_ACCEPT_LENGTH = 512;
/** Node keeps the first of these and drops the rest, so a proxy may have read another one: request smuggling. */
const SINGLE_HEADERS: readonly string[] = ['host', 'authorization', 'content-type'];
/**
 * No response is cacheable or has an entity tag, so a read is answered in full whatever part of it or condition is asked for,
 * as RFC 9110 allows (13.2.1, 14.2). Express would answer 304 to `*`, and fail where a file's precondition is not met.
 * Changes keep their preconditions: see `requirePrecondition`.
 */
const IGNORED_BY_READS = [
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'if-range',
  'range',
] as const;

/** Rejects ambiguous and oversized requests before anything parses them. @throws {AppError} */
export function guardRequest(req: IncomingMessage): void {
  const { headers, method, rawHeaders, url = '' } = req;
  if ((headers.accept?.length ?? 0) > MAX_ACCEPT_LENGTH) delete headers.accept;
  if (url.length > MAX_URL_LENGTH) throw new AppError('uri_too_long');
  refuseFragment(url);
  requireEncodedQuery(url);
  refuseManyHeaders(rawHeaders);
  refuseRepeatedHeaders(rawHeaders);
  requireHost(headers.host, req.httpVersion);
  requireKnownFraming(headers['transfer-encoding'], req.httpVersion);
  if (method === 'GET' || method === 'HEAD')
    for (const name of IGNORED_BY_READS) if (headers[name] !== undefined) delete headers[name];
}

/** Where the next request begins is as doubtful as what this one means. */
const ambiguous = (detail: string): AppError =>
  new AppError('malformed_request', { detail, headers: { Connection: 'close' } });

/** A name or an IPv4 address, or an IPv6 address in brackets, and perhaps a port. */
const HOST = /^(?:\[([\da-f:.]+)\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::(\d{0,5}))?$/i;
/** The last one that was valid: hardly any request names another. */
let lastHost: string | undefined;

/** RFC 9112, 3.2: HTTP/1.1 needs the header, which may be empty. */
function requireHost(host: string | undefined, httpVersion: string): void {
  if (host === undefined) {
    if (httpVersion !== '1.1') return;
    throw ambiguous('The header host is missing.');
  }
  if (host === lastHost) return;
  const [isForm, address, port] = HOST.exec(host) ?? [];
  const isHost = isForm !== undefined && (address === undefined || isIPv6(address));
  if (!(isHost && Number(port ?? 0) <= MAX_PORT)) throw ambiguous('The header host is not valid.');
  lastHost = host;
}

/**
 * Node's parser refuses whatever does not end in `chunked`, and hands over the bytes of a coding before it. 400 as there: 501,
 * which RFC 9112 suggests (6.1), would count as a failure of the service. HTTP/1.0 has no codings.
 */
function requireKnownFraming(coding: string | undefined, httpVersion: string): void {
  if (coding === undefined || (!coding.includes(',') && httpVersion === '1.1')) return;
  throw ambiguous('The only transfer coding is chunked: send the body uncompressed.');
}

/** @param rawHeaders names and values in turn, as Node received them. */
function refuseManyHeaders({ length }: readonly string[]): void {
  if (length > 2 * MAX_HEADERS)
    throw new AppError('headers_too_large', {
      detail: `Send at most ${MAX_HEADERS} header fields.`,
    });
}

function refuseRepeatedHeaders(rawHeaders: readonly string[]): void {
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const single = SINGLE_HEADERS.findIndex(
      (each) => each.length === name.length && each === name.toLowerCase(),
    );
    if (single < 0) continue;
    if (seen & (1 << single))
      throw ambiguous(`The header ${SINGLE_HEADERS[single]} may be sent only once.`);
    seen |= 1 << single;
  }
}

/** RFC 9112, 3.2: a target has none. Readers differ in whether it belongs to the path or the query. */
function refuseFragment(url: string): void {
  if (url.includes('#'))
    throw new AppError('malformed_request', { detail: 'The request target has a fragment.' });
}

/** The router decodes the path, and rejects the same. */
function requireEncodedQuery(url: string): void {
  const start = url.indexOf('?');
  if (start < 0) return;
  const query = url.slice(start + 1);
  if (!(/^[\x20-\x7e]*$/.test(query) && isEncodedUtf8(query)))
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
