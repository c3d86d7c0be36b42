import { unescape } from 'node:querystring';
import { cutText } from '../cut-text.js';
import { messageOf } from '../errors/message-of.js';

/** The longest path that is served; masking more of a longer one would only cost time. */
const MAX_PATH = 2_048;

// Not anchored: in quoted-printable they follow `=3D`.
const OPAQUE_TOKEN = /(?:[a-z]{2}_[0-9a-f]{32}|rt_\d+_\d+)_[A-Za-z0-9_-]+/g;

// The suffix of these three is optional so that they match in linear time: a run of characters without it is consumed
// whole. If it were required, the search would start again at each character of the run.

/** A JWT's header is an object, so it begins with `eyJ`. */
const JWT = /eyJ[\w-]+(\.[\w-]+\.[\w-]+)?/g;
/** A local part in quotation marks (RFC 5321, 4.1.2). A closing mark without a host is left: it may open the next one. */
const QUOTED_ADDRESS =
  /"(?:[^"\\]|\\.)*("[@\uff20\ufe6b](?:\[[\p{L}\p{N}.:-]+\]?|[\p{L}\p{M}\p{N}\p{So}\p{Cf}.-]+))?/gu;
/** `\p{So}` has U+FFFD, as which a byte that is not UTF-8 is decoded. The host may be an IP address in brackets. */
const ADDRESS =
  /[\p{L}\p{M}\p{N}\p{So}\p{Cf}.!#$%&'*+/=?^_`{|}~-]+([@\uff20\ufe6b](?:\[[\p{L}\p{N}.:-]+\]?|[\p{L}\p{M}\p{N}\p{So}\p{Cf}.-]+))?/gu;

/** An `@` in quoted-printable or percent-encoding, between what may be a local part and a domain. */
const ENCODED_AT = /(?<=[^\s/])(?:=|%(?:25)*)40(?=[\p{L}\p{N}.-]*\.\p{L})/gu;
const AT = /[@\uff20\ufe6b]/;

const MAX_LENGTH = 1_000;
/** Bounds the work before anything is looked for: what a server says may be long. */
const MAX_READ = 4 * MAX_LENGTH;
/** Longer than any address or token of ours. */
const MAX_WORD = 1_000;

const LINK = /\bhttps?:\/\/[^\s<>"']+/gi;

/** Has nothing to mask or decode: a token has a `_` or a `.` in it. */
const PLAIN_PATH = /^[A-Za-z0-9/-]*$/;

/** A `%` that was itself encoded, however often. */
const ENCODED_PERCENT = /%(?:25)+/gi;
const ENCODED_SLASH = /%2f/gi;

/**
 * Replaces everything that looks like one of our tokens or an e-mail address, its `@` encoded or not. Runs in linear time;
 * the caller limits the length of the text.
 */
export const maskTokensAndAddresses = (text: string): string => maskRuns(text, maskAddress);

function maskRuns(text: string, mask: MaskRun): string {
  const withoutTokens = text
    .replace(ENCODED_AT, '@')
    .replace(OPAQUE_TOKEN, '[token]')
    .replace(JWT, (run, rest?: string) => (rest === undefined ? run : '[token]'));
  // Most texts contain no address, yet consist of the characters that one may have.
  if (!AT.test(withoutTokens)) return withoutTokens;
  return withoutTokens.replace(QUOTED_ADDRESS, maskAddress).replace(ADDRESS, mask);
}

type MaskRun = (run: string, host?: string) => string;

/** `node_modules/@scope`, in the frames of a stack. */
const isScope = (run: string, host: string): boolean =>
  run.endsWith(`/${host}`) && !host.includes('.');

/** The local part may have slashes. */
const maskAddress: MaskRun = (run, host) =>
  host === undefined || isScope(run, host) ? run : '[address]';

/** Masks in the last segment only: the slashes of an address in a path are encoded. */
const maskLastSegment: MaskRun = (run, host) => {
  if (host === undefined || isScope(run, host)) return run;
  return `${run.slice(0, run.lastIndexOf('/', run.length - host.length) + 1)}[address]`;
};

/**
 * Returns a URL's path as it may be logged: without tokens and addresses, percent-encoded or not. Some mail clients
 * encode the `?` of a link, so that its token is part of the path. A path without either is returned unchanged; one with
 * is decoded as far as it is printable ASCII. A path of more than 2,048 characters is cut after its last whole segment
 * within them: part of a token or of an address could not be recognized.
 */
export function maskPath(path: string): string {
  if (path.length <= MAX_PATH && PLAIN_PATH.test(path)) return path;
  const kept =
    path.length > MAX_PATH ? path.slice(0, path.lastIndexOf('/', MAX_PATH - 1) + 1) : path;
  const decoded = unescape(kept.replace(ENCODED_PERCENT, '%').replace(ENCODED_SLASH, '%252F'));
  const masked = maskRuns(decoded, maskLastSegment);
  return masked === decoded ? kept : masked.replace(/[^\x21-\x7e]/gu, encodeURIComponent);
}

/**
 * The text without e-mail addresses, links and tokens, and at most 1,000 characters of it. For everything that is kept
 * in Redis, in logs or as a reason: a mail server's reply likes to repeat the address, sometimes the link. Without NUL
 * bytes and halves of surrogate pairs too, which PostgreSQL refuses.
 */
export const maskPersonalData = (text: string, maxLength = MAX_LENGTH): string =>
  cutText(maskBounded(text), maxLength);

const maskBounded = (text: string): string =>
  maskTokensAndAddresses(cutToWords(text).replaceAll('\0', '').replace(LINK, '[link]'));

/** The first part of a long text, without the word that the cut goes through: it may be half an address. */
function cutToWords(text: string): string {
  if (text.length <= MAX_READ) return text;
  let end = MAX_READ;
  while (end > MAX_READ - MAX_WORD && /\S/.test(text.charAt(end - 1))) end -= 1;
  return cutText(text, end);
}

/** A copy of an error, its causes included, that may be logged or kept: every text in it is masked. */
export function maskError(thrown: unknown, depth = 0): Error {
  const masked = new Error(maskPersonalData(messageOf(thrown)));
  if (!(thrown instanceof Error)) return masked;
  masked.name = thrown.name;
  if (thrown.stack !== undefined) masked.stack = maskStack(thrown.stack);
  if (thrown.cause !== undefined && depth < 4) masked.cause = maskError(thrown.cause, depth + 1);
  if ('code' in thrown && typeof thrown.code === 'string')
    Object.assign(masked, { code: thrown.code });
  return masked;
}

/** The frames may be longer than a message; a message may hold what looks like one. */
function maskStack(stack: string): string {
  const frames = stack.search(/\n[^\S\n]+at /);
  if (frames < 0) return maskPersonalData(stack);
  return `${maskPersonalData(stack.slice(0, frames))}${maskBounded(stack.slice(frames)).toWellFormed()}`;
}
