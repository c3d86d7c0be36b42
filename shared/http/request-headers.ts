import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { MIMEType } from 'node:util';
import { AppError } from '../errors/app-error.js';

const REQUEST_ID = /^[A-Za-z0-9_-]{8,64}$/;
/** Three times what is usual. Node parses a longer one slowly: in a time that grows with the square of its blanks. */
const MAX_TYPE_LENGTH = 256;
/** The registered name of UTF-8, and a common misspelling. */
const UTF8_NAMES = new Set(['utf-8', 'utf8']);
/** Charsets and content codings are echoed in an error only if they match. */
const PRINTABLE_NAME = /^[\w.+:'-]{1,40}$/;

/** The request's id: its `X-Request-Id` where that is valid, otherwise a new one. */
export const requestIdFrom = (given: string | string[] | undefined): string =>
  typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();

/**
 * Reads the media type of a body and refuses it unless it is one of these, in UTF-8 and not compressed. Parameters other
 * than `charset` and a trailing semicolon are ignored (https://mimesniff.spec.whatwg.org/#parsing-a-mime-type).
 * @returns the media type in lower case, without parameters.
 * @throws {AppError} `unsupported_media_type` with a detail that names the problem.
 */
export function supportedMediaType(
  headers: Pick<IncomingHttpHeaders, 'content-type' | 'content-encoding'>,
  supported: readonly string[],
): string {
  const given = headers['content-type'] ?? '';
  const type = mediaType(given);
  if (!type || !supported.includes(type.essence)) {
    const names = supported.map((name) => `\`Content-Type: ${name}\``).join(' or ');
    throw unsupported(`Send ${names}.`);
  }
  refuseCharset(type.params.get('charset'), given);
  const coding = headers['content-encoding']?.trim().toLowerCase() || 'identity';
  if (coding !== 'identity') {
    throw unsupported(
      `The content coding ${quoted(coding)} is not supported: send the body uncompressed.`,
      { 'Accept-Encoding': 'identity' },
    );
  }
  return type.essence;
}

/** The media type in lower case, without parameters; `undefined` if it cannot be parsed, or is longer than any of ours. */
export const essenceOf = (contentType: string | undefined): string | undefined =>
  mediaType(contentType ?? '')?.essence;

function mediaType(text: string): MIMEType | undefined {
  if (text.length > MAX_TYPE_LENGTH) return undefined;
  try {
    return new MIMEType(text);
  } catch {
    return undefined;
  }
}

function refuseCharset(charset: string | null, contentType: string): void {
  if (charset !== null && !UTF8_NAMES.has(charset.toLowerCase()))
    throw unsupported(`The charset ${quoted(charset)} is not supported: send the body in UTF-8.`);
  // Parsers disagree on duplicates: some take the first, others the last.
  if ([...contentType.matchAll(/;\s*charset\s*=/gi)].length > 1)
    throw unsupported('The charset may be named only once: send the body in UTF-8.');
}

const quoted = (name: string): string => (PRINTABLE_NAME.test(name) ? `\`${name}\`` : 'given');

const unsupported = (detail: string, headers: Readonly<Record<string, string>> = {}): AppError =>
  new AppError('unsupported_media_type', { detail, headers });
