import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { MIMEType } from 'node:util';
import { AppError } from '../errors/app-error.js';

const REQUEST_ID = /^[A-Za-z0-9_-]{8,64}$/;
/** What is UTF-8 by its right name and by the one that many write instead. */
const UTF8_NAMES = new Set(['utf-8', 'utf8']);
/** What names of charsets and codings are made of; another text is not repeated in an answer. */
const PRINTABLE_NAME = /^[\w.+:'-]{1,40}$/;

/** The request's id: its `X-Request-Id` where that is valid, otherwise a new one. */
export const requestIdFrom = (given: string | string[] | undefined): string =>
  typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();

/**
 * Reads what a body is from the headers, and refuses it unless it is one of these media types, in UTF-8 and not
 * compressed. Parameters other than `charset` are of no matter, and neither is a semicolon that nothing follows
 * (https://mimesniff.spec.whatwg.org/#parsing-a-mime-type).
 * @returns the media type in lower case, without parameters.
 * @throws {AppError} `unsupported_media_type`, whose detail names what is at fault.
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

/** The media type that a body is said to be, in lower case; `undefined` if that says nothing. */
export const essenceOf = (contentType: string | undefined): string | undefined =>
  mediaType(contentType ?? '')?.essence;

function mediaType(text: string): MIMEType | undefined {
  try {
    return new MIMEType(text);
  } catch {
    return undefined;
  }
}

function refuseCharset(charset: string | null, contentType: string): void {
  if (charset !== null && !UTF8_NAMES.has(charset.toLowerCase()))
    throw unsupported(`The charset ${quoted(charset)} is not supported: send the body in UTF-8.`);
  // Of two the first counts here, and the last elsewhere.
  if ([...contentType.matchAll(/;\s*charset\s*=/gi)].length > 1)
    throw unsupported('The charset may be named once: send the body in UTF-8.');
}

const quoted = (name: string): string => (PRINTABLE_NAME.test(name) ? `\`${name}\`` : 'given');

const unsupported = (detail: string, headers: Readonly<Record<string, string>> = {}): AppError =>
  new AppError('unsupported_media_type', { detail, headers });
