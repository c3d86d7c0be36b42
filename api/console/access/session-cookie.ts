import type { IncomingMessage, ServerResponse } from 'node:http';

/** The cookie that holds the token of a session. */
export interface SessionCookie {
  readonly name: string;
  /** The token that a request carries; `undefined` without one of the right form. */
  read(req: IncomingMessage): string | undefined;
  set(res: ServerResponse, token: string): void;
  clear(res: ServerResponse): void;
}

const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/**
 * A cookie that ends with the browser's session, is sent by no other site's request, and that no script reads. With `isSecure`
 * it has the prefix `__Host-`, so no other host can set it (RFC 6265bis, 4.1.3); without, plain HTTP outside production works.
 */
export function createSessionCookie(isSecure: boolean): SessionCookie {
  const name = isSecure ? '__Host-rollcall-ops' : 'rollcall-ops';
  const attributes = `; Path=/; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
  return {
    name,
    read({ headers: { cookie = '' } }) {
      const prefix = `${name}=`;
      const pair = cookie.split('; ').find((each) => each.startsWith(prefix));
      const token = pair?.slice(prefix.length) ?? '';
      return TOKEN.test(token) ? token : undefined;
    },
    set: (res, token) => res.setHeader('Set-Cookie', `${name}=${token}${attributes}`),
    clear: (res) => res.setHeader('Set-Cookie', `${name}=; Max-Age=0${attributes}`),
  };
}
