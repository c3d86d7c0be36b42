import { unescape } from 'node:querystring';

/** A path as long as any that is served; masking the rest of a longer one would only cost time. */
const MAX_PATH = 2_048;

// Whatever stands before them: in quoted-printable that is `=3D`.
const OPAQUE_TOKEN = /(?:[a-z]{2}_[0-9a-f]{32}|rt_\d+_\d+)_[A-Za-z0-9_-]+/g;

// What makes these two worth masking is optional in them: a run of the same characters without it is matched all the
// same and left behind at once. If it were required, the search would begin anew at each character of the run.

/** A JWT's header is an object, so it begins with `eyJ`. */
const JWT = /eyJ[\w-]+(\.[\w-]+\.[\w-]+)?/g;
const ADDRESS = /[\p{L}\p{N}.!#$%&'*+=?^_`{|}~-]+(@[\p{L}\p{N}.-]+)?/gu;

/** A `%` that was itself encoded, however often. */
const ENCODED_PERCENT = /%(?:25)+/gi;

/**
 * The text without what has the form of our tokens or of an e-mail address. Takes time in proportion to the text's
 * length, which whoever calls it has to bound.
 */
export function maskTokensAndAddresses(text: string): string {
  const withoutTokens = text
    .replace(OPAQUE_TOKEN, '[token]')
    .replace(JWT, (run, rest?: string) => (rest === undefined ? run : '[token]'));
  // Most texts have none, and runs of these characters are all that they consist of.
  if (!withoutTokens.includes('@')) return withoutTokens;
  return withoutTokens.replace(ADDRESS, (run, host?: string) =>
    host === undefined ? run : '[address]',
  );
}

/**
 * A URL's path as it may be logged: without tokens and addresses, percent-encoded or not. Mail clients encode the `?` of
 * a link, so that its token comes in the path. A path that has neither stays as it is; another one is decoded, as far as
 * it is printable ASCII. Of a path of more than 2,048 characters only the whole segments within them are kept: a token
 * or an address that was cut in two could not be told from other text.
 */
export function maskPath(path: string): string {
  const kept =
    path.length > MAX_PATH ? path.slice(0, path.lastIndexOf('/', MAX_PATH - 1) + 1) : path;
  const decoded = unescape(kept.replace(ENCODED_PERCENT, '%'));
  const masked = maskTokensAndAddresses(decoded);
  return masked === decoded ? kept : masked.replace(/[^\x21-\x7e]/gu, encodeURIComponent);
}
