import * as z from 'zod';
import { isHost } from './addresses.js';

/** `new URL` would drop line breaks and tabs, and trim the text. */
const urlOf = (protocol: RegExp, error: string) =>
  z
    .string()
    .regex(/^[^\s\p{Cc}]*$/u, 'must contain neither blanks nor control characters')
    .pipe(z.url({ protocol, error }));

/** Reads a text that is known to be a URL. Faults never quote it: it may hold a password. */
const readAs =
  <T>(read: (url: URL) => T) =>
  (text: string, context: z.RefinementCtx<string>): T => {
    try {
      const parsed = new URL(text);
      if (!isHost(hostOf(parsed))) throw new UrlFault('must name a host or an IP address');
      if (parsed.port === '0') throw new UrlFault('must not have the port 0');
      return read(parsed);
    } catch (error) {
      const message = error instanceof UrlFault ? error.message : 'cannot be read';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
  };

class UrlFault extends Error {}

const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');

/** The base of links: public, so without credentials, and without anything after its path. */
export const publicUrl = urlOf(/^https?$/, 'must be an http(s) URL').transform(
  readAs((url) => {
    if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
      throw new UrlFault('must contain neither credentials nor anything after the path');
    return url.href.replace(/(?<!\/)\/+$/, '');
  }),
);

/** Where another service is called. Credentials belong into its path or query, since `fetch` refuses them in front of the host. */
export const serviceUrl = urlOf(/^https?$/, 'must be an http(s) URL').transform(
  readAs((url) => {
    if (url.username !== '' || url.password !== '' || url.hash !== '')
      throw new UrlFault('must contain neither user and password nor a fragment');
    return url.href;
  }),
);

/** Address, database and credentials of PostgreSQL. */
export const databaseUrl = urlOf(/^postgres(ql)?$/, 'must be a postgres:// URL').transform(
  readAs((url) => {
    if (url.search !== '' || url.hash !== '')
      throw new UrlFault('takes no parameters: TLS is set by POSTGRES_SSL');
    const name = decoded(url.pathname.slice(1));
    const user = decoded(url.username);
    if (name === '' || user === '') throw new UrlFault('must name a user and a database');
    return {
      host: hostOf(url),
      port: url.port === '' ? 5432 : Number(url.port),
      name,
      user,
      password: decoded(url.password),
    };
  }),
);

/** Address of a Redis; the path is the number of a database. */
export const redisUrl = urlOf(/^rediss?$/, 'must be a redis:// or rediss:// URL').transform(
  readAs((url) => {
    if (!/^(\/\d{0,4})?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
      throw new UrlFault('must end after the host and port, or with the number of a database');
    decoded(url.username);
    decoded(url.password);
    return url.href;
  }),
);

function decoded(part: string): string {
  const text = decodeEscapes(part);
  if (/\p{Cc}/u.test(text))
    throw new UrlFault('contains an escaped control character, such as the newline %0A');
  return text;
}

function decodeEscapes(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new UrlFault('contains a % that is not part of an escape: write it as %25');
  }
}
