import * as z from 'zod';
import { AppError } from '../../shared/errors/app-error.js';
import { isoTime } from '../../shared/iso-time.js';

/** Which rows of a listing: at most `limit`, after the place that `cursor` names. */
export interface PageRequest {
  readonly limit: number;
  /** `next` of the page before; absent for the first page. */
  readonly cursor?: string | undefined;
}

/** Rows of a listing, and the cursor of the page after them, if there is one. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

const MAX_CURSOR = 400;

/** A cursor for the sort key of a page's last row: texts, so that no digit of a time is lost. */
const cursorOf = (key: readonly string[]): string =>
  Buffer.from(JSON.stringify(key)).toString('base64url');

/**
 * The sort key that a page begins after; undefined for the first page. It is only compared with rows, so a forged one shows
 * nothing that the listing would not.
 * @throws {AppError} `invalid_cursor`.
 */
export function placeOf<K extends z.ZodType>(
  key: K,
  cursor: string | undefined,
): z.output<K> | undefined {
  if (cursor === undefined) return undefined;
  const { success, data } = key.safeParse(decoded(cursor));
  if (!success) throw new AppError('invalid_cursor');
  return data;
}

function decoded(cursor: string): unknown {
  if (cursor.length > MAX_CURSOR) return undefined;
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
}

/** A page of the rows that were found when one more than its limit was asked for. */
export function pageOf<Row>(
  found: readonly Row[],
  limit: number,
  keyOf: (row: Row) => readonly string[],
): Page<Row> {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return { rows, next: found.length > limit && last ? cursorOf(keyOf(last)) : null };
}

const TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)([+-](?:0\d|1[0-4]))(:\d\d)?$/;

/** A time as PostgreSQL writes it, to the microsecond. No other: PostgreSQL fails at a time that there is not. */
export const Time = z.string().refine((text) => {
  const [, day, time, hours, minutes = ':00'] = TIME.exec(text) ?? [];
  return isoTime.safeParse(`${day}T${time}${hours}${minutes}`).success;
});

/** The key of a listing by a whole number. */
export const IntegerId = z.tuple([z.string().regex(/^\d{1,10}$/)]);

export const TimeAndId = z.tuple([Time, z.uuid()]);
