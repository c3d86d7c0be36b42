import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4, isIPv6 } from 'node:net';

const LOCAL_ZONES = /(?:^|\.)(?:localhost|local|internal)$/;

/**
 * Headers in which proxies of any product name the client or the original host. New ones appear, so the pattern is broad:
 * a header that is not known to mean something else counts as one of them.
 */
export const FORWARDING_HEADERS =
  /forwarded|(?:client|connecting|real|remote|socket|user)-?(?:ip|addr)|-(?:ip|address)$|^x-(?:original-)?host$/;

/** Strips the IPv4-mapped form in which dual-stack sockets show IPv4 addresses (RFC 4291, section 2.5.5.2), with dots. */
export const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');

/** Strips the port and the brackets from an address; text that is not an address is only trimmed. */
export function withoutPort(text: string): string {
  const given = text.trim();
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d*)?$/.exec(given) ?? [];
  if (bracketed !== undefined && isIPv6(bracketed)) return bracketed;
  return plain !== undefined && isIPv4(plain) ? plain : given;
}

/**
 * True for requests from programs and from the server's own pages. False for requests that a page of another site makes in a
 * browser: cross-origin, or under its own host name that resolves to this server (DNS rebinding).
 */
export function isLocalRequest({ headers: { host, origin } }: IncomingMessage): boolean {
  if (!isLocalHost(host)) return false;
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}

/**
 * True for a `Host` header that public DNS cannot resolve: an address, a name without a dot, or a name in a zone reserved for
 * local use (RFC 6761, RFC 6762, and `.internal`).
 */
export function isLocalHost(host: string | undefined): boolean {
  // HTTP/1.0 clients send none, and no browser is one.
  if (host === undefined) return true;
  if (isIP(withoutPort(host)) !== 0) return true;
  const name = host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  return /^[a-z0-9_-]+$/.test(name) || (/^[a-z0-9_.-]+$/.test(name) && LOCAL_ZONES.test(name));
}
