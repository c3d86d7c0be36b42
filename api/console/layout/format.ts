import { cutText } from '../../../shared/cut-text.js';
import { duration } from '../../../shared/duration.js';
import { escapeControls } from '../../../shared/escape-controls.js';
import { markup, type Html } from '../../http/page.js';

/** How much of an untrusted text a page shows. */
const MAX_FOREIGN_LENGTH = 1_000;

/** A number with separators: 12,345. */
export const count = (n: number): string => Math.round(n).toLocaleString('en-US');

/** `1 mail`, `2 mails`. */
export const counted = (n: number, one: string, many = `${one}s`): string =>
  `${count(n)} ${n === 1 ? one : many}`;

/** A size in its unit: 512 B, 1.2 KiB, 85 MiB. */
export function bytes(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(size) / 10));
  const inUnit = size / 1_024 ** power;
  return `${inUnit < 10 && power > 0 ? inUnit.toFixed(1) : Math.round(inUnit)} ${units[power] ?? ''}`;
}

/** The date and time in UTC to the second: 2026-11-29 03:04:05. */
const utc = (at: Date): string => at.toISOString().slice(0, 19).replace('T', ' ');

/** A point in time as its age, with the exact time at hand: the script of the page keeps it current. */
export const ago = (at: Date | null | undefined, now = Date.now()): Html =>
  at == null
    ? markup`<span class="none">never</span>`
    : markup`<time class="ago" datetime="${at.toISOString()}" title="${utc(at)} UTC">${ageText(at, now)}</time>`;

/** A point in time that may be to come. */
function ageText(at: Date, now: number): string {
  const seconds = Math.round((now - at.getTime()) / 1_000);
  if (seconds < -1) return `in ${duration(-seconds)}`;
  return seconds < 2 ? 'just now' : `${duration(seconds)} ago`;
}

/** The exact time, for a list in which the order counts. */
export const exactTime = (at: Date): Html =>
  markup`<time datetime="${at.toISOString()}" title="UTC">${utc(at)}</time>`;

/** Text that somebody else has chosen: bounded, control characters visible, markup escaped. */
export const foreign = (text: string, maxLength = MAX_FOREIGN_LENGTH): Html =>
  markup`<span class="foreign" dir="auto">${clip(text, maxLength)}</span>`;

/** The same inside of an attribute or a sentence. */
export const clip = (text: string, maxLength = MAX_FOREIGN_LENGTH): string =>
  escapeControls(text.length > maxLength ? `${cutText(text, maxLength)}…` : text.toWellFormed());

/** The fields of a filter that are given, for a form or a query. */
export const queryFields = (
  filter: Readonly<Record<string, string | number | Date | undefined>>,
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(filter).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [[name, value instanceof Date ? value.toISOString() : String(value)]],
    ),
  );

/** A path with a query. */
export const withQuery = (path: string, fields: Readonly<Record<string, string>>): string =>
  `${path}?${new URLSearchParams(fields).toString()}`;
