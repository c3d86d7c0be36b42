import { createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as z from 'zod';
import { areEqualSecrets } from '../../../shared/crypto/equal-secrets.js';
import type { KeyRing, NamedKey } from '../../../shared/crypto/keys.js';
import { AppError } from '../../../shared/errors/app-error.js';
import { pathOf, queryOf } from '../request-context.js';

/** Default page size. */
export const DEFAULT_LIMIT = 50;
/** Maximum page size. */
export const MAX_LIMIT = 100;
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
  cursor: z
    .string()
    .min(1, 'must not be empty')
    .max(MAX_CURSOR_LENGTH, `must be at most ${MAX_CURSOR_LENGTH} characters`)
    .optional(),
};

/** Opaque, signed cursors. A cursor is valid only for the listing that it came from. */
export interface Cursors {
  encode(listing: string, lastId: number): string;
  /** @throws {AppError} `invalid_cursor` for a cursor that was tampered with, or that belongs to another listing. */
  decode(listing: string, cursor: string): number;
  /** The base of links to further pages; the `Host` header is not trusted. */
  readonly publicUrl: string;
}

/** Cursors signed with the current key and verified with any. */
export function createCursors(keys: KeyRing, publicUrl: string): Cursors {
  return {
    publicUrl,
    encode: (listing, lastId) => signed(keys.current, listing, lastId),
    decode(listing, cursor) {
      const [, id] = /^([0-9a-z]{1,7})\.[A-Za-z0-9_-]{22}$/.exec(cursor) ?? [];
      if (id === undefined) throw new AppError('invalid_cursor');
      const lastId = Number.parseInt(id, 36);
      // The whole text: other texts stand for the same number, or decode to the same bytes.
      const given = Buffer.from(cursor);
      const isOurs = keys.all.some((key) =>
        areEqualSecrets(given, Buffer.from(signed(key, listing, lastId))),
      );
      if (!isOurs) throw new AppError('invalid_cursor');
      return lastId;
    },
  };
}

export interface ListingRequest {
  /** Names the listing and its reader. */
  readonly listing: string;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/** Reads one page, ordered by id, and sets the `Link` header to the absolute URL of the next page, if any (RFC 8288). */
export async function readPage<Row extends { id: number }>(
  cursors: Cursors,
  { listing, limit, cursor }: ListingRequest,
  { req, res }: { req: IncomingMessage; res: ServerResponse },
  find: (limit: number, after: number) => Promise<Row[]>,
): Promise<Row[]> {
  const found = await find(limit + 1, lastIdOf(cursors, listing, cursor));
  const page = found.slice(0, limit);
  const last = page.at(-1);
  if (found.length > limit && last)
    res.setHeader('Link', nextPageLink(cursors, listing, last.id, req));
  return page;
}

/** The last id of the page before, which a cursor names; 0 for the first page. @throws {AppError} `invalid_cursor`. */
export const lastIdOf = (cursors: Cursors, listing: string, cursor: string | undefined): number =>
  cursor === undefined ? 0 : cursors.decode(listing, cursor);

/** The value of `Link` for the page after the row with this id: the request's own query with another cursor. */
export function nextPageLink(
  cursors: Cursors,
  listing: string,
  lastId: number,
  req: IncomingMessage,
): string {
  const parameters = new URLSearchParams(queryOf(req));
  parameters.set('cursor', cursors.encode(listing, lastId));
  return `<${cursors.publicUrl}${pathOf(req)}?${parameters.toString()}>; rel="next"`;
}

function signed({ key }: NamedKey, listing: string, lastId: number): string {
  const mac = createHmac('sha256', key)
    .update(JSON.stringify([listing, lastId]))
    .digest()
    .subarray(0, MAC_BYTES);
  return `${lastId.toString(36)}.${mac.toString('base64url')}`;
}
