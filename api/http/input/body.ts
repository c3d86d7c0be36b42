import { isUtf8 } from 'node:buffer';
import type { Request, RequestHandler } from 'express';
import { AppError } from '../../../shared/errors/app-error.js';
import { essenceOf, supportedMediaType } from '../../../shared/http/request-headers.js';
import { requirePrecondition } from '../preconditions.js';
import { isEncodedUtf8 } from '../request-guard.js';
import { parseJsonObject } from './strict-json.js';

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';
const MAX_FORM_FIELDS = 32;

/**
 * The limit for bodies with credentials. It must hold fields that are as long as they may be, in the longest encoding: JSON takes
 * six bytes for a UTF-16 unit (`\uac01`), a form nine (`%EA%B0%81`). In units, a known password has up to 2,048, a new one up
 * to 1,024, a name and an address up to 1,000 each. So a change of the account takes 6 × 5,072 = 30,432 bytes, and the form
 * that confirms 9 × 3,048 = 27,432, each with the names of its fields and a token.
 */
export const MAX_CREDENTIALS_BODY_BYTES = 32 * 1_024;
/** The limit for all other bodies: of a user, 6 × 2,000 = 12,000 bytes for the name and the address. */
export const MAX_BODY_BYTES = 16 * 1_024;

/** A body that arrives byte by byte would take hundreds of times its size if its pieces were kept as they are. */
const MAX_PIECES = 64;

/** A media type and its parser. */
type Format = readonly [type: string, parse: (text: string) => object];

/** Middleware that reads a JSON object of at most `maxBytes`, and rejects anything else and a false precondition. */
export const jsonBody = (maxBytes: number): RequestHandler[] => [
  bodyIn([[JSON_TYPE, parseJsonObject]], maxBytes),
];

/** Middleware that reads a JSON object or an HTML form. */
export const jsonOrFormBody = (maxBytes: number): RequestHandler[] => [
  bodyIn(
    [
      [JSON_TYPE, parseJsonObject],
      [FORM_TYPE, parseForm],
    ],
    maxBytes,
  ),
];

/** True when the body is an HTML form: the client is a browser, and gets a page. */
export const isForm = (req: { headers: { 'content-type'?: string | undefined } }): boolean =>
  essenceOf(req.headers['content-type']) === FORM_TYPE;

/**
 * Stricter than the parsers of Express, which read an oversized body to its end before they reject it, replace invalid
 * UTF-8 by U+FFFD, and let the last of two equal keys win.
 */
function bodyIn(formats: readonly Format[], maxBytes: number): RequestHandler {
  const parsers = new Map(formats);
  return async (req, _res, next) => {
    const type = supportedMediaType(req.headers, [...parsers.keys()]);
    const text = await readText(req, maxBytes);
    requirePrecondition(req);
    req.body = parsers.get(type)?.(text);
    next();
  };
}

async function readText(req: Request, maxBytes: number): Promise<string> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const body = await readBytes(req, maxBytes);
  if (!isUtf8(body)) throw new AppError('malformed_request', { detail: 'The body is not UTF-8.' });
  return body.toString();
}

/** By events: an iterator over the request would take longer than all else that is done with a usual body. */
function readBytes(req: Request, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let pieces: Buffer[] = [];
    let bytes = 0;
    const onData = (piece: Buffer): void => {
      bytes += piece.length;
      if (bytes > maxBytes) {
        fail(tooLarge(maxBytes));
        return;
      }
      pieces.push(piece);
      if (pieces.length === MAX_PIECES) pieces = [Buffer.concat(pieces)];
    };
    const onEnd = (): void => {
      stop();
      resolve(Buffer.concat(pieces));
    };
    const onCut = (cause?: Error): void =>
      fail(new AppError('malformed_request', { detail: 'The body was cut off.', cause }));
    // The connection stays open: the response is sent over it.
    const fail = (error: AppError): void => {
      stop();
      req.pause();
      reject(error);
    };
    const stop = (): void => {
      req.off('data', onData).off('end', onEnd).off('error', onCut).off('close', onCut);
    };
    if (req.destroyed) onCut();
    else req.on('data', onData).on('end', onEnd).on('error', onCut).on('close', onCut);
  });
}

const tooLarge = (maxBytes: number): AppError =>
  new AppError('payload_too_large', { detail: `Send at most ${maxBytes / 1_024} KiB.` });

function parseForm(text: string): object {
  if (!isEncodedUtf8(text))
    throw new AppError('malformed_request', { detail: 'The form is not UTF-8.' });
  const fields = [...new URLSearchParams(text)];
  const names = new Set(fields.map(([name]) => name));
  if (names.size < fields.length || fields.length > MAX_FORM_FIELDS) {
    const detail = `At most ${MAX_FORM_FIELDS} fields, each sent once.`;
    throw new AppError('malformed_request', { detail });
  }
  return Object.fromEntries(fields);
}
