import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4, isIPv6 } from 'node:net';

const LOCAL_ZONES = /(?:^|\.)(?:localhost|local|internal)$/;

/** Strips the IPv4-mapped form in which dual-stack sockets show IPv4 addresses (RFC 4291, section 2.5.5.2). */
export const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');

/** Strips the port and the brackets from an address; text that is not an address is only trimmed. */
export function withoutPort(text: string): string {
  const given = text.trim();
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d*)?$/.exec(given) ?? [];
  if (bracketed !== undefined && isIPv6(bracketed)) return bracketed;
  return plain !== undefined && isIPv4(plain) ? plain : given;
}

/**
 * True for a request that is meant for a server of this host or network: of a program, or of a page that the server
 * itself has served. False for one that a page of another site makes in somebody's browser, be it openly or by its own
 * name, which leads here (DNS rebinding).
 */
export function isLocalRequest({ headers: { host, origin } }: IncomingMessage): boolean {
  if (!isLocalHost(host)) return false;
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}

/**
 * True for a `Host` header that nobody on the internet can have a name server answer for: an address, a name without a
 * dot, or one in a zone that is local by definition (RFC 6761, RFC 6762, and `.internal`).
 */
export function isLocalHost(host: string | undefined): boolean {
  // HTTP/1.0 has none, and no browser speaks it.
  if (host === undefined) return true;
  if (isIP(withoutPort(host)) !== 0) return true;
  const name = host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  return /^[a-z0-9_-]+$/.test(name) || (/^[a-z0-9_.-]+$/.test(name) && LOCAL_ZONES.test(name));
}
