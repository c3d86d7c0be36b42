import { maskTokensAndAddresses } from '../shared/logging/mask.js';

const MAX_LENGTH = 1_000;
/** Bounds the work before anything is looked for: what a server says may be long. */
const MAX_READ = 4 * MAX_LENGTH;
/** Longer than any address or token of ours. */
const MAX_WORD = 1_000;

const LINK = /\bhttps?:\/\/[^\s<>"']+/gi;

/**
 * The text without e-mail addresses, links and tokens, and at most 1,000 characters of it. For everything that is kept
 * in Redis, in logs or as a reason: a mail server's reply likes to repeat the address, sometimes the link. Without NUL
 * bytes too, which PostgreSQL refuses.
 */
export const maskPersonalData = (text: string): string => maskBounded(text).slice(0, MAX_LENGTH);

const maskBounded = (text: string): string =>
  maskTokensAndAddresses(cutToWords(text).replaceAll('\0', '').replace(LINK, '[link]'));

/** The first part of a long text, without the word that the cut goes through: it may be half an address. */
function cutToWords(text: string): string {
  if (text.length <= MAX_READ) return text;
  let end = MAX_READ;
  while (end > MAX_READ - MAX_WORD && /\S/.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** A copy of an error, its causes included, that may be logged or kept: every text in it is masked. */
export function maskError(thrown: unknown, depth = 0): Error {
  if (!(thrown instanceof Error)) return new Error(maskPersonalData(String(thrown)));
  const masked = new Error(maskPersonalData(thrown.message));
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
  return `${maskPersonalData(stack.slice(0, frames))}${maskBounded(stack.slice(frames))}`;
}
