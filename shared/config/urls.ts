import * as z from 'zod';

/** Reads a URL that has been checked to be one; a fault never quotes it. */
const readAs =
  <T>(read: (url: URL) => T) =>
  (text: string, context: z.RefinementCtx<string>): T => {
    try {
      return read(new URL(text));
    } catch (error) {
      const message = error instanceof UrlFault ? error.message : 'cannot be read';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
  };

class UrlFault extends Error {}

/** The base of links: nothing may follow its path, and everybody may read it. */
export const publicUrl = z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).transform(
  readAs((url) => {
    if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
      throw new UrlFault('must hold neither credentials nor anything after the path');
    return url.href.replace(/(?<!\/)\/+$/, '');
  }),
);

/** Where PostgreSQL is, and who asks. */
export const databaseUrl = z
  .url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' })
  .transform(
    readAs((url) => {
      if (url.search !== '' || url.hash !== '')
        throw new UrlFault('takes no parameters: TLS is set by POSTGRES_SSL');
      const name = decoded(url.pathname.slice(1));
      const user = decoded(url.username);
      if (name === '' || user === '') throw new UrlFault('must name a user and a database');
      return {
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port === '' ? 5432 : Number(url.port),
        name,
        user,
        password: decoded(url.password),
      };
    }),
  );

/** Where a Redis is; its path is the number of a database. */
export const redisUrl = z
  .url({ protocol: /^rediss?$/, error: 'must be a redis:// or rediss:// URL' })
  .transform(
    readAs((url) => {
      if (url.hostname === '') throw new UrlFault('must name a host');
      if (!/^(\/\d{0,4})?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
        throw new UrlFault('must end in its host and port, or in the number of a database');
      decoded(url.username);
      decoded(url.password);
      return url.href;
    }),
  );

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new UrlFault('holds a % that is not part of an escape: write %25');
  }
}
