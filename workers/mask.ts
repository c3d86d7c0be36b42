import { maskTokensAndAddresses } from '../shared/logging/mask.js';

const MAX_LENGTH = 1_000;
/** Bounds the work before anything is looked for: what a server says may be long. */
const MAX_READ = 4 * MAX_LENGTH;

const LINK = /\bhttps?:\/\/[^\s<>"']+/gi;

/**
 * The text without e-mail addresses, links and tokens, and at most 1,000 characters of it. For everything that is kept
 * in Redis, in logs or as a reason: a mail server's reply likes to repeat the address, sometimes the link. Without NUL
 * bytes too, which PostgreSQL refuses.
 */
export function maskPersonalData(text: string): string {
  const withoutLinks = text.slice(0, MAX_READ).replaceAll('\0', '').replace(LINK, '[link]');
  return maskTokensAndAddresses(withoutLinks).slice(0, MAX_LENGTH);
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

/** The frames are ours and may be long; only the message above them can hold what must be masked. */
function maskStack(stack: string): string {
  const frames = stack.search(/\n\s+at /);
  if (frames < 0) return maskPersonalData(stack);
  return `${maskPersonalData(stack.slice(0, frames))}${stack.slice(frames, frames + MAX_READ)}`;
}
