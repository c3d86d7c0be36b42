import { isIP } from 'node:net';
import { withoutPort } from './without-port.js';

const LOCAL_ZONES = /(?:^|\.)(?:localhost|local|internal)$/;

/**
 * True for a `Host` header that nobody on the internet can have a name server answer for: an address, a name without a
 * dot, or one in a zone that is local by definition (RFC 6761, RFC 6762, and `.internal`). A server for this host or
 * network that takes no other is safe from DNS rebinding: a page in somebody's browser that has its own name lead here.
 */
export function isLocalHost(host: string | undefined): boolean {
  // HTTP/1.0 has none, and no browser speaks it.
  if (host === undefined) return true;
  if (isIP(withoutPort(host)) !== 0) return true;
  const name = host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  return /^[a-z0-9_-]+$/.test(name) || (/^[a-z0-9_.-]+$/.test(name) && LOCAL_ZONES.test(name));
}
