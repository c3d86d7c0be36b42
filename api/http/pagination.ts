import { createHmac } from 'node:crypto';
import type { Request, Response } from 'express';
import * as z from 'zod';
import { areEqualSecrets } from '../../shared/crypto/equal-secrets.js';
import type { KeyRing, NamedKey } from '../../shared/crypto/keys.js';
import { AppError } from '../../shared/errors/app-error.js';
import { pathOf } from './request-context.js';

/** How many rows a page has unless asked otherwise. */
export const DEFAULT_LIMIT = 50;
/** How many rows a page can have. */
export const MAX_LIMIT = 100;
/** How long a cursor can be, as text. */
export const MAX_CURSOR_LENGTH = 200;
const MAC_BYTES = 16;

/** The query parameters of every listing. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, `must be a whole number, 1 to ${MAX_LIMIT}`)
    .transform(Number)
    .refine((limit) => limit <= MAX_LIMIT, `must be a whole number, 1 to ${MAX_LIMIT}`)
    .default(DEFAULT_LIMIT),
  cursor: z.string().min(1).max(MAX_CURSOR_LENGTH).optional(),
};

/** Turns a place in one listing into an opaque cursor and back. A cursor is good for the listing it came from alone. */
export interface Cursors {
  encode(listing: string, lastId: number): string;
  /** @throws {AppError} `invalid_cursor` for a cursor that was changed, or that another listing gave. */
  decode(listing: string, cursor: string): number;
  /** Where links to further pages point: what a client names as the host has no part in them. */
  readonly publicUrl: string;
}

/** Cursors signed by the first of the keys and read by any. */
export function createCursors(keys: KeyRing, publicUrl: string): Cursors {
  return {
    publicUrl,
    encode: (listing, lastId) =>
      `${lastId.toString(36)}.${mac(keys.current, listing, lastId).toString('base64url')}`,
    decode(listing, cursor) {
      const [, id, claimed] = /^([0-9a-z]{1,7})\.([A-Za-z0-9_-]{22})$/.exec(cursor) ?? [];
      const lastId = Number.parseInt(id ?? '', 36);
      const bytes = Buffer.from(claimed ?? '', 'base64url');
      const isOurs = keys.all.some((key) => areEqualSecrets(bytes, mac(key, listing, lastId)));
      if (!isOurs) throw new AppError('invalid_cursor');
      return lastId;
    },
  };
}

/** One page as a request asks for it. */
export interface PageRequest {
  /** Names what is listed and for whom: a cursor of another listing is refused. */
  readonly listing: string;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/** Reads one page, by id and oldest first, and links the next one by its absolute URL if there is one (RFC 8288). */
export async function readPage<Row extends { id: number }>(
  cursors: Cursors,
  { listing, limit, cursor }: PageRequest,
  exchange: { req: Request; res: Response },
  find: (limit: number, after: number) => Promise<Row[]>,
): Promise<Row[]> {
  const after = cursor === undefined ? 0 : cursors.decode(listing, cursor);
  const found = await find(limit + 1, after);
  const page = found.slice(0, limit);
  const last = page.at(-1);
  if (found.length > limit && last) {
    const next = cursors.encode(listing, last.id);
    linkNextPage(exchange, cursors.publicUrl, next);
  }
  return page;
}

function linkNextPage(
  { req, res }: { req: Request; res: Response },
  publicUrl: string,
  cursor: string,
): void {
  const [, query] = req.originalUrl.split('?', 2);
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', cursor);
  res.setHeader('Link', `<${publicUrl}${pathOf(req)}?${parameters.toString()}>; rel="next"`);
}

function mac({ key }: NamedKey, listing: string, lastId: number): Buffer {
  return createHmac('sha256', key)
    .update(JSON.stringify([listing, lastId]))
    .digest()
    .subarray(0, MAC_BYTES);
}
