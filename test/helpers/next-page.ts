import type { Answer } from './api-client.js';
import { PUBLIC_URL } from './env.js';

/** Path and query of the next page, if there is one. @throws when the link is not absolute, at the public URL. */
export function nextPageOf({ headers }: Pick<Answer, 'headers'>): string | undefined {
  const link = headers.get('link');
  if (link === null) return undefined;
  const [, url] = /^<([^>]+)>; rel="next"$/.exec(link) ?? [];
  if (url?.startsWith(`${PUBLIC_URL}/`) !== true) throw new Error(`not a link to a page: ${link}`);
  return url.slice(PUBLIC_URL.length);
}
