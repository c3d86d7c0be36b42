import { readPersonName } from '../../../shared/identity/person-name.js';
import type { MailBlock } from './layout.js';

export interface LinkMailFacts {
  readonly service: string;
  /** The name of the account; empty for one that is not confirmed. */
  readonly name: string;
  readonly url: string;
  readonly now: Date;
  readonly expiresAt: Date;
}

type Link = Pick<LinkMailFacts, 'url' | 'now' | 'expiresAt'>;

/** How long the link works, in words. */
export const lifetimeOf = ({ now, expiresAt }: Link): string =>
  inWords(expiresAt.getTime() - now.getTime());

/**
 * The link: a button, a note, and its address to copy.
 * @param note what to know before following it; by default how long it works.
 */
export function linkBlocks(
  link: Link,
  label: string,
  note = `The link works for ${lifetimeOf(link)}, until ${utcTime(link.expiresAt)}.`,
): MailBlock[] {
  return [
    { kind: 'button', label, url: link.url },
    { kind: 'paragraph', text: note },
    {
      kind: 'address',
      label: 'If the button does not work, copy this address into your browser:',
      url: link.url,
    },
  ];
}

const MAX_NAME_LENGTH = 80;

/** More of them are stacked over the lines above (UTS #39, 5.4). */
const TOO_MANY_MARKS = /(\p{Mn}{4})\p{Mn}+/gu;

/**
 * An untrusted name as it may be shown in a mail: on one line, of at most 80 characters, over no other text, and so that no
 * mail program turns a part of it into a link. Whoever registers chooses the name, and the owner of the address reads it.
 */
export function quoteName(text: string): string {
  const reading = readPersonName(text);
  // A name that was stored under earlier rules may have more invisible characters than a script needs.
  const line =
    'name' in reading ? reading.name : text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  // An invisible word joiner breaks up what looks like an address.
  return shorten(line.replace(TOO_MANY_MARKS, '$1')).replace(
    /(?<=[\p{L}\p{M}\p{N}\u200c\u200d])[.:@](?=[\p{L}\p{N}/])/gu,
    '$&\u2060',
  );
}

/** At most 80 code points of a text, and no part of what is shown as one character. */
function shorten(text: string): string {
  const points = [...text];
  if (points.length <= MAX_NAME_LENGTH) return text;
  const end = points.slice(0, MAX_NAME_LENGTH - 1).join('').length;
  const { index = 0 } = new Intl.Segmenter('en').segment(text).containing(end) ?? {};
  return `${text.slice(0, index === 0 ? end : index)}…`;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A duration in words, rounded: `45 minutes`, `24 hours`, `3 days`. At least a minute. */
export function inWords(ms: number): string {
  if (ms >= 2 * DAY_MS) return counted(ms / DAY_MS, 'day');
  if (ms >= 1.5 * HOUR_MS) return counted(ms / HOUR_MS, 'hour');
  return counted(Math.max(ms / MINUTE_MS, 1), 'minute');
}

function counted(amount: number, unit: string): string {
  const count = Math.round(amount);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

const utcFormat = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'long',
  timeStyle: 'short',
  timeZone: 'UTC',
});

/** A time in UTC: `23 November 2026 at 14:05 UTC`. */
export const utcTime = (time: Date): string => `${utcFormat.format(time)} UTC`;
