/** A path as long as any that is served; masking the rest of a longer one would only cost time. */
const MAX_PATH = 2_048;

// Whatever stands before them: in quoted-printable that is `=3D`. A JWT's header is an object, so it begins with `eyJ`.
const TOKEN = /(?:[a-z]{2}_[0-9a-f]{32}|rt_\d+_\d+)_[A-Za-z0-9_-]+|eyJ[\w-]+\.[\w-]+\.[\w-]+/g;
const ADDRESS = /[\p{L}\p{N}.!#$%&'*+=?^_`{|}~-]+@[\p{L}\p{N}.-]+/gu;

/** A byte as URLs may write it, however often `%` itself was encoded. */
const BYTE = /%(?:25)*([0-9a-f]{2})/gi;
const BYTES = /(?:%(?:25)*[0-9a-f]{2})+/gi;

/** The text without what has the form of our tokens or of an e-mail address. */
export const maskTokensAndAddresses = (text: string): string =>
  text.replace(TOKEN, '[token]').replace(ADDRESS, '[address]');

/**
 * A URL's path as it may be logged: without tokens and addresses, percent-encoded or not, and at most 2,048 characters
 * of it. Mail clients encode the `?` of a link, so that its token comes in the path. A path that has neither stays as
 * it is; another one is decoded, as far as it is printable ASCII.
 */
export function maskPath(path: string): string {
  const kept = path.slice(0, MAX_PATH);
  const decoded = kept.replace(BYTES, (bytes) =>
    Buffer.from(bytes.replace(BYTE, '$1'), 'hex').toString(),
  );
  const masked = maskTokensAndAddresses(decoded);
  return masked === decoded ? kept : masked.replace(/[^\x21-\x7e]/gu, encodeURIComponent);
}
