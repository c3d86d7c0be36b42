/**
 * The first so many UTF-16 units of a text, well-formed: half a surrogate pair, such as at the cut, becomes U+FFFD.
 * PostgreSQL refuses halves in JSON, and so may the receiver of a webhook.
 */
export const cutText = (text: string, maxLength: number): string =>
  text.slice(0, maxLength).toWellFormed();
