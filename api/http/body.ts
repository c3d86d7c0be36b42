import { isUtf8 } from 'node:buffer';
import express, {
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { AppError } from '../../shared/errors/app-error.js';

const MAX_DEPTH = 8;
const MAX_KEYS = 32;
const JSON_TYPE = /^application\/json(?:\s*;\s*charset=(?:"utf-8"|utf-8))?\s*$/i;
const FORM_TYPE = /^application\/x-www-form-urlencoded(?:\s*;\s*charset=(?:"utf-8"|utf-8))?\s*$/i;

/** Bodies that hold credentials. */
export const SMALL_BODY = 4 * 1_024;
/** All other bodies. */
export const NORMAL_BODY = 16 * 1_024;

/** Reads a JSON object of at most `maxBytes`; anything else is refused before a handler runs. */
export function jsonBody(maxBytes: number): RequestHandler[] {
  const read = express.json({
    limit: maxBytes,
    strict: true,
    inflate: false,
    type: () => true,
    verify: requireUtf8,
  });
  return [requireType([JSON_TYPE]), read, requireObject];
}

/** Reads a JSON object or an HTML form. */
export function jsonOrFormBody(maxBytes: number): RequestHandler[] {
  const json = express.json({
    limit: maxBytes,
    strict: true,
    inflate: false,
    type: isJson,
    verify: requireUtf8,
  });
  const form = express.urlencoded({
    limit: maxBytes,
    extended: false,
    inflate: false,
    type: isForm,
    verify: requireUtf8,
  });
  return [requireType([JSON_TYPE, FORM_TYPE]), json, form, requireObject];
}

/** True when the request bears an HTML form, so that a person waits for a page. */
export const isForm = (req: { headers: { 'content-type'?: string | undefined } }): boolean =>
  FORM_TYPE.test(req.headers['content-type'] ?? '');

const isJson = (req: { headers: { 'content-type'?: string | undefined } }): boolean =>
  JSON_TYPE.test(req.headers['content-type'] ?? '');

function requireType(types: readonly RegExp[]): RequestHandler {
  return (req, _res, next) => {
    const type = req.get('content-type') ?? '';
    if (!types.some((known) => known.test(type))) throw new AppError('unsupported_media_type');
    next();
  };
}

/** body-parser would replace what is not UTF-8 by U+FFFD and carry on. */
function requireUtf8(_req: unknown, _res: unknown, body: Buffer): void {
  if (!isUtf8(body)) throw new AppError('malformed_request', { detail: 'The body is not UTF-8.' });
}

function requireObject(req: Request, _res: Response, next: NextFunction): void {
  const body: unknown = req.body;
  if (typeof body !== 'object' || body === null) {
    throw new AppError('malformed_request', { detail: 'The body must be a JSON object.' });
  }
  if (Array.isArray(body))
    throw new AppError('malformed_request', { detail: 'The body must be a JSON object.' });
  refuseDeep(body, 1);
  next();
}

function refuseDeep(value: object, depth: number): void {
  const children: unknown[] = Object.values(value);
  if (depth > MAX_DEPTH || children.length > MAX_KEYS) {
    throw new AppError('malformed_request', {
      detail: `At most ${MAX_DEPTH} levels and ${MAX_KEYS} fields each.`,
    });
  }
  for (const child of children) {
    if (typeof child === 'object' && child !== null) refuseDeep(child, depth + 1);
  }
}
